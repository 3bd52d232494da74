import '../../../secret.libsonnet'
