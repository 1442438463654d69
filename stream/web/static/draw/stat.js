// Big values: what is left of each column or line, with its curve behind where there is one.

import { element, named } from "../dom.js";
import { colorClass, configOf, cssColor, linkOf, look } from "../fields.js";
import { highest, lowest, reduced } from "../reduce.js";
import { fromLink } from "../route.js";
import { show } from "../units.js";

export class Stat {
  constructor(body, panel) {
    this.panel = panel;
    this.list = element("div", { class: "values" });
    body.append(this.list);
  }

  isEmpty() {
    return false;
  }

  update(frame, view) {
    this.frame = frame;
    this.view = view;
    const all = reduced(this.panel, frame);
    const values = all.length ? all : [{ name: "", field: "", value: null }];
    this.list.replaceChildren(...values.slice(0, 12).map((one) => this.one(one, values.length > 1)));
  }

  one({ name, field, kind, value, values }, several) {
    const config = configOf(this.panel, field, kind);
    const { text, color } = look(config, value);
    const missing = value == null || value === "";
    const shown = missing ? (config.noValue ?? "-") : (text ?? show(value, config.unit, config.decimals));
    const link = missing ? null : linkOf(config, {}, value, this.view);
    const href = link && fromLink(link);
    const mode = this.panel.options?.colorMode ?? "value";
    const tinted = missing || mode === "none" ? "" : colorClass(color);
    const node = element(
      "div",
      { class: `value ${tinted}`, title: kind === "time" && !missing ? show(value, "dateTimeAsIso") : shown },
      href ? element("a", { href }, shown) : shown,
    );
    node.style.setProperty("--characters", Math.max(shown.length, 4));
    const curve = this.panel.options?.graphMode === "area" && values ? spark(values, cssColor(color, "blue")) : null;
    return element("div", { class: `one ${mode.startsWith("background") ? `filled ${tinted}` : ""}` }, several ? named(config.displayName?.includes("$") ? name : (config.displayName ?? name), { class: "name" }) : null, node, curve);
  }

  restyle() {
    if (this.frame) this.update(this.frame, this.view);
  }
}

// The curve behind the value, stretched over the panel.
function spark(values, stroke) {
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length < 2) return null;
  const [low, high] = [lowest(numbers), highest(numbers)];
  const canvas = element("canvas", { class: "spark", width: 240, height: 48 });
  const context = canvas.getContext("2d");
  context.strokeStyle = stroke;
  context.lineWidth = 2;
  context.beginPath();
  numbers.forEach((value, index) =>
    context.lineTo((240 * index) / (numbers.length - 1), 44 - (40 * (value - low)) / (high - low || 1)),
  );
  context.stroke();
  context.lineTo(240, 48);
  context.lineTo(0, 48);
  context.fillStyle = stroke;
  context.globalAlpha = 0.15;
  context.fill();
  return canvas;
}
