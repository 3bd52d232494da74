local bot = import 'lib/bot.libsonnet';
{
  ['bot-%d' % n]: bot('bot-%d' % n, std.extVar('cluster.name'))
  for n in std.range(1, std.extVar('bots'))
}
