// Bars with a value each: how full, in the colour of its threshold.

import { element, named } from "../dom.js";
import { configOf, cssColor, look } from "../fields.js";
import { highest, reduced } from "../reduce.js";
import { show } from "../units.js";

export class BarGauge {
  constructor(body, panel) {
    this.panel = panel;
    this.list = element("div", { class: "scroll gauges" });
    body.append(this.list);
  }

  isEmpty() {
    return !this.values.length;
  }

  update(frame) {
    this.values = reduced(this.panel, frame);
    this.frame = frame;
    const numbers = this.values.map(({ value }) => value).filter((value) => typeof value === "number");
    this.list.replaceChildren(...this.values.map((one) => this.gauge(one, highest(numbers) ?? 1)));
  }

  gauge({ name, field, value }, most) {
    const config = configOf(this.panel, field, "number");
    const [low, high] = [config.min ?? Math.min(0, value ?? 0), config.max ?? (most > 0 ? most : 1)];
    const { text, color } = look(config, value);
    const fill = element("i");
    const share = typeof value === "number" ? (value - low) / (high - low || 1) : 0;
    fill.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
    fill.style.background = color && color !== "text" ? cssColor(color) : cssColor("blue");
    return element(
      "div",
      { class: "gauge" },
      named(name, { title: name }),
      element("div", { class: "track" }, fill),
      element("b", {}, text ?? (value == null ? (config.noValue ?? "-") : show(value, config.unit, config.decimals))),
    );
  }

  restyle() {
    if (this.frame) this.update(this.frame);
  }
}
