{{- define "agent.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "agent.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "agent.name" .) }}
{{- end }}

{{- define "agent.credentials" -}}
{{ .Values.credentials.existingSecret | default (printf "%s-credentials" (include "agent.name" .)) }}
{{- end }}

{{- define "agent.extraCA" -}}
{{ .Values.extraCA.existingConfigMap | default (printf "%s-ca" (include "agent.name" .)) }}
{{- end }}

{{/* Cluster roles have no namespace: two releases in one cluster must not share one. */}}
{{- define "agent.clusterRole" -}}
{{ printf "%s:%s" .Release.Namespace (include "agent.name" .) }}
{{- end }}

{{- define "agent.selector" -}}
app.kubernetes.io/name: knarr-agent
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "agent.labels" -}}
{{ include "agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: knarr
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "agent.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What rbac.mode comes to: the least that the other values ask for. */}}
{{- define "agent.rbacMode" -}}
{{- if .Values.rbac.mode }}{{ .Values.rbac.mode }}
{{- else if .Values.rbac.impersonate }}impersonate
{{- else if .Values.rbac.namespaces }}namespaces
{{- else }}admin
{{- end }}
{{- end }}
