// Log lines, in the order of the query.

import { element } from "../dom.js";
import { clock, day } from "../ranges.js";

// OpenTelemetry's and Python's words for the levels we colour.
const LEVELS = { warning: "warn", critical: "fatal", err: "error" };

export class Logs {
  constructor(body) {
    this.lines = element("div", { class: "scroll lines" });
    body.append(this.lines);
  }

  isEmpty(frame) {
    return !frame.fields[0]?.values.length;
  }

  update(frame) {
    if (frame === this.frame) return;
    this.frame = frame;
    const [times, levels, bodies] = ["timestamp", "level", "body"].map(
      (name) => frame.fields.find((field) => field.name === name)?.values ?? [],
    );
    this.lines.replaceChildren(
      ...times.map((time, index) => this.line(time, levels[index] ?? "", bodies[index] ?? "")),
    );
  }

  line(time, word, body) {
    const level = LEVELS[word] ?? word.replace(/\d+$/, "");
    return element(
      "div",
      { class: level },
      element("time", { title: day(time) }, clock(time, 3)),
      element("span", { class: "level" }, level),
      element("span", { class: "text" }, body),
    );
  }
}
