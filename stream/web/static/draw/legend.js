// The names under a chart: the last value or the one under the pointer; a click shows one line alone.

import { element, named } from "../dom.js";
import { configOf, lineColor } from "../fields.js";
import { reduce } from "../reduce.js";
import { show } from "../units.js";

export class Legend {
  constructor(body, panel, chosen) {
    this.panel = panel;
    this.chosen = chosen;
    const { showLegend = true, displayMode = "list", placement = "bottom", calcs = [] } = panel.options?.legend ?? {};
    this.calculation = calcs[0] ?? "lastNotNull";
    const kind = displayMode === "table" || placement === "right" ? "legend tall" : "legend";
    this.node = element("div", { class: kind, hidden: !showLegend });
    this.shown = showLegend;
    body.append(this.node);
    if (showLegend && kind !== "legend") body.classList.add("beside");
  }

  build(frame, hidden) {
    if (!this.shown) return;
    this.entries = frame.series.map(({ name }, index) => {
      const config = configOf(this.panel, name, "number");
      const value = element("b", {});
      const swatch = element("span", { class: "swatch" });
      swatch.style.color = lineColor(config, index);
      const button = element(
        "button",
        {
          type: "button",
          "aria-pressed": String(!hidden.has(name)),
          title: `${name}\nClick: alone. With ctrl: show or hide.`,
          onclick: (event) => this.chosen(name, event.ctrlKey || event.metaKey || event.shiftKey),
        },
        swatch,
        named(name),
        value,
      );
      return { button, value, unit: config.unit, decimals: config.decimals };
    });
    this.node.replaceChildren(...this.entries.map(({ button }) => button));
  }

  // `indexes`: of the samples under the pointer, or null; then it is about the samples from `begin` to before `end`.
  write(frame, indexes, [begin, end]) {
    if (!this.shown) return;
    frame.series.forEach(({ values }, index) => {
      const { value, unit, decimals } = this.entries[index];
      const number = indexes ? values[indexes[index + 1]] : reduce(this.calculation, values.slice(begin, end));
      const text = show(number, unit, decimals);
      if (value.textContent !== text) value.textContent = text;
    });
  }
}
