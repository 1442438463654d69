// Which type of panel is drawn by what. A type that is not here is said on its panel, and fails a test.

import { BarChart } from "./bars.js";
import { BarGauge } from "./gauge.js";
import { Heatmap } from "./heatmap.js";
import { Logs } from "./logs.js";
import { Stat } from "./stat.js";
import { States } from "./states.js";
import { Table } from "./table.js";
import { Text } from "./text.js";
import { TimeSeries } from "./timeseries.js";
import { Trend } from "./trend.js";

export const KINDS = {
  barchart: BarChart,
  bargauge: BarGauge,
  gauge: BarGauge,
  heatmap: Heatmap,
  logs: Logs,
  stat: Stat,
  "state-timeline": States,
  "status-history": States,
  table: Table,
  text: Text,
  timeseries: TimeSeries,
  trend: Trend,
  xychart: Trend,
};

// Done by the server or by the panel itself; others would have to be done here.
export const TRANSFORMATIONS = ["partitionByValues", "merge", "prepareTimeSeries"];
