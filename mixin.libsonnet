// The rendered files as a monitoring mixin, for those who build their monitoring with jsonnet.
// Settings are those of `driftgauge render`: render first, then import.
local groups = (import 'alerts/driftgauge.rules.json').groups;
local alerts(group) = std.objectHas(group.rules[0], 'alert');

{
  grafanaDashboards+:: {
    'driftgauge-feature.json': import 'dashboards/driftgauge-feature.json',
    'driftgauge-fleet.json': import 'dashboards/driftgauge-fleet.json',
    'driftgauge-itself.json': import 'dashboards/driftgauge-itself.json',
    'driftgauge-model.json': import 'dashboards/driftgauge-model.json',
    'driftgauge-models.json': import 'dashboards/driftgauge-models.json',
  },
  prometheusAlerts+:: { groups+: std.filter(alerts, groups) },
  prometheusRules+:: { groups+: std.filter(function(group) !alerts(group), groups) },
}
