function(name, cluster) {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: name, labels: { cluster: cluster } },
  data: { greeting: 'I am %s in %s' % [name, cluster] },
}
