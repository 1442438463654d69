// Lines along the step, or along another number; run against run.

import { TimeSeries, widened } from "./timeseries.js";

export class Trend extends TimeSeries {
  axis = "step";

  // The steps are a variable of the dashboard.
  beyond(view) {
    const steps = view.steps ? widened(view.steps).join("-") : "";
    return { view: { ...view, variables: { ...view.variables, steps: [steps] } }, points: this.points };
  }

  rangeOf(view) {
    const { times } = this.frame;
    if (view.steps) return view.steps;
    const [from, to] = [times[0] ?? 0, times.at(-1) ?? 1];
    return from < to ? { from, to } : { from: from - 1, to: from + 1 };
  }
}
