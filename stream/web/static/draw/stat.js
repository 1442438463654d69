// One big value: the last row of the last column.

import { element } from "../dom.js";
import { colorClass, configOf, look } from "../fields.js";
import { show } from "../units.js";

export class Stat {
  constructor(body, panel) {
    this.panel = panel;
    this.value = element("div", { class: "value" });
    body.append(this.value);
  }

  isEmpty() {
    return false;
  }

  update(frame) {
    const field = frame.fields.at(-1);
    const value = field?.values.at(-1);
    const config = configOf(this.panel, field?.name);
    const { text, color } = look(config, value);
    const missing = value == null || value === "";
    this.value.textContent = missing
      ? (config.noValue ?? "-")
      : (text ?? show(value, config.unit, config.decimals));
    this.value.style.setProperty("--characters", Math.max(this.value.textContent.length, 4));
    this.value.className = `value ${missing ? "" : colorClass(color)}`;
    this.value.title = field?.kind === "time" && !missing ? show(value, "dateTimeAsIso") : "";
  }
}
