// What Grafana itself says a Classic board is. A board is written below as a literal, so that every property that
// Grafana does not know is an error, at whatever depth. Enums become the strings that stand in JSON.
import type {
  AnnotationQuery,
  Dashboard,
  FieldConfig,
  Panel,
  RowPanel,
  VariableModel,
} from "@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen";
import type { HideableFieldConfig } from "@grafana/schema";
import type * as barchart from "@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as statetimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as statushistory from "@grafana/schema/dist/esm/raw/composable/statushistory/panelcfg/x/StatusHistoryPanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer Each)[]
    ? Plain<Each>[]
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T;

// Grafana's own types leave open what a target is, for that is a matter of each data source.
interface Target {
  refId: string;
  datasource: { type: "prometheus"; uid: "${datasource}" };
  expr: string;
  legendFormat: string;
  editorMode: "code" | "builder";
  format: "time_series" | "table" | "heatmap";
  instant: boolean;
  range: boolean;
}

interface Link {
  title: string;
  url: string;
  targetBlank: boolean;
}

type Override<Custom> =
  | { id: "color"; value: FieldConfig["color"] }
  | { id: "links"; value: Link[] }
  | { id: "thresholds"; value: FieldConfig["thresholds"] }
  | { id: "mappings"; value: FieldConfig["mappings"] }
  | { id: "unit"; value: string }
  | { id: "decimals"; value: number }
  | { [Key in keyof Custom & string]: { id: `custom.${Key}`; value: Custom[Key] } }[keyof Custom & string];

type Typed<Kind extends string, Options, Custom> = Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> & {
  type: Kind;
  options: Options;
  targets: Target[];
  fieldConfig: {
    defaults: Omit<FieldConfig, "custom" | "links"> & { custom: Partial<Custom>; links?: Link[] };
    overrides: {
      matcher: { id: "byName" | "byRegexp"; options: string };
      properties: Override<Custom>[];
    }[];
  };
};

type AnyPanel =
  | Typed<"barchart", barchart.Options, barchart.FieldConfig>
  | Typed<"stat", stat.Options, HideableFieldConfig>
  | Typed<"state-timeline", statetimeline.Options, statetimeline.FieldConfig>
  | Typed<"status-history", statushistory.Options, statushistory.FieldConfig>
  | Typed<"table", table.Options, table.FieldConfig>
  | Typed<"timeseries", timeseries.Options, timeseries.FieldConfig>
  | RowPanel;

// A Prometheus annotation keeps its query beside what every annotation has.
type Mark = AnnotationQuery & {
  expr?: string;
  step?: string;
  useValueForTime?: boolean;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
};

type Variable = VariableModel & { definition?: string };

export type Board = Plain<
  Omit<Dashboard, "panels" | "annotations" | "templating"> & {
    panels: AnyPanel[];
    annotations: { list: Mark[] };
    templating: { list: Variable[] };
  }
>;
