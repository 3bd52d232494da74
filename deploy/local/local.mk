# Parts that are built from Go modules into the user's cache, once. Included by the Makefile.
.PHONY: kube kustomize helm jaeger gitea registry
kube: $(VENV)/.ready ## build the real Kubernetes for tests and demo (about 6 min the first time)
	@$(PY) -m knarr.local.build kube

kustomize: $(VENV)/.ready ## build the stand-alone kustomize (about 25 s the first time)
	@$(PY) -m knarr.local.build kustomize

helm: $(VENV)/.ready ## build helm (about 90 s the first time)
	@$(PY) -m knarr.local.build helm

jaeger: $(VENV)/.ready ## build the Jaeger tracing backend (about 3 min the first time)
	@$(PY) -m knarr.local.build jaeger

gitea: $(VENV)/.ready ## build the Gitea Git host (about 4 min the first time, needs a C compiler)
	@$(PY) -m knarr.local.build gitea

registry: $(VENV)/.ready ## build the OCI registry that tests push charts to (about 15 s the first time)
	@$(PY) -m knarr.local.build registry
