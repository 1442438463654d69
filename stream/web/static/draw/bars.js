// Bar charts: a group or a stack of bars for each row of a table.

import { element, named } from "../dom.js";
import { configOf, lineColor } from "../fields.js";
import { show } from "../units.js";
import * as tooltip from "../tooltip.js";

export class BarChart {
  constructor(body, panel) {
    this.panel = panel;
    this.chart = element("div", { class: "bars" });
    this.legend = element("div", { class: "legend" });
    body.append(this.chart, this.legend);
    this.chart.addEventListener("mouseleave", tooltip.hide);
  }

  isEmpty(frame) {
    return !frame.fields[0]?.values.length;
  }

  update(frame) {
    this.frame = frame;
    const { xField, orientation = "auto", stacking = "none" } = this.panel.options ?? {};
    const label = frame.fields.find(({ name, kind }) => (xField ? name === xField : kind !== "number")) ?? frame.fields[0];
    const numbers = frame.fields
      .filter((field) => field.kind === "number" && field !== label)
      .map((field, index) => ({ ...field, config: configOf(this.panel, field.name, "number"), index }));
    const rows = label?.values.map((name, row) => ({ name: shown(label, name), values: numbers.map(({ values }) => values[row]) })) ?? [];
    const lying = orientation === "horizontal" || (orientation === "auto" && rows.length > 12);
    this.chart.className = `bars ${lying ? "lying" : "standing"} ${stacking === "none" ? "grouped" : "stacked"}`;
    const size = scaleOf(rows, stacking);
    this.chart.replaceChildren(...rows.map((row) => this.row(row, numbers, size, lying)));
    this.writeLegend(numbers);
  }

  row({ name, values }, numbers, size, lying) {
    const total = values.reduce((sum, value) => sum + (Number(value) || 0), 0);
    const bars = numbers.map(({ config, index, name: what }) => {
      const bar = element("i", { "data-value": values[index] });
      bar.style[lying ? "width" : "height"] = `${100 * Math.max(0, (Number(values[index]) || 0) / size(total))}%`;
      bar.style.background = lineColor(config, index);
      bar.setAttribute("aria-label", `${what} ${values[index]}`);
      return bar;
    });
    const unit = numbers[0]?.config.unit;
    const node = element("div", { class: "group" }, named(name, { title: name }), element("div", { class: "track" }, ...bars),
      lying ? element("b", {}, show(numbers.length === 1 ? values[0] : total, unit)) : null);
    node.addEventListener("mousemove", (event) => this.point(event, name, values, numbers));
    return node;
  }

  point(event, name, values, numbers) {
    tooltip.show(
      event.clientX,
      event.clientY,
      element("div", { class: "when" }, named(name)),
      ...numbers.map(({ name: what, config, index }) =>
        element("div", { class: "row" }, swatch(config, index), named(what), element("b", {}, show(values[index], config.unit, config.decimals))),
      ),
    );
  }

  writeLegend(numbers) {
    const wanted = this.panel.options?.legend?.showLegend !== false && numbers.length > 1;
    this.legend.hidden = !wanted;
    if (!wanted) return;
    this.legend.replaceChildren(
      ...numbers.map(({ name, config, index }) => element("button", { type: "button", tabindex: "-1" }, swatch(config, index), named(name))),
    );
  }

  restyle() {
    if (this.frame) this.update(this.frame);
  }
}

function swatch(config, index) {
  const node = element("span", { class: "swatch square" });
  node.style.color = lineColor(config, index);
  return node;
}

const shown = ({ kind }, value) => (kind === "time" ? show(value, "dateTimeAsIso") : String(value ?? ""));

// What a full bar stands for, given the sum of the row it is in.
function scaleOf(rows, stacking) {
  if (stacking === "percent") return (total) => total || 1;
  const sums = rows.map(({ values }) =>
    stacking === "none" ? Math.max(0, ...values.map((value) => Number(value) || 0)) : values.reduce((sum, value) => sum + (Number(value) || 0), 0),
  );
  const most = Math.max(0, ...sums) || 1;
  return () => most;
}
