// Annotations: lines down a chart where something was diagnosed or commanded.

import { element } from "../dom.js";
import { colorClass } from "../fields.js";
import { show } from "../units.js";

const NEAR_PX = 7;

// All marks of the annotations that belong on this panel, in order of time.
export function marksFor(annotations, panelId) {
  return annotations
    .filter(({ panels }) => !panels.length || panels.includes(panelId))
    .flatMap(({ name, color, events }, lane) => events.map((event) => ({ ...event, name, color, lane })))
    .sort((a, b) => a.time - b.time);
}

export function draw(u, layer, marks) {
  const { min, max } = u.scales.x;
  const seen = marks.filter(({ time }) => time >= min && time <= max);
  layer.replaceChildren(
    ...seen.map((mark) => {
      const line = element("div", {
        // A command follows its diagnosis so closely that one would hide the other.
        class: `mark ${mark.lane % 2 ? "above " : ""}${colorClass(mark.color)}`,
        "data-mark": mark.name,
        "data-text": mark.text,
      });
      line.style.left = `${u.valToPos(mark.time, "x")}px`;
      return line;
    }),
  );
}

// What the tooltip says of the marks beside the pointer.
export function notes(u, marks, left) {
  return marks
    .filter(({ time }) => Math.abs(u.valToPos(time, "x") - left) <= NEAR_PX)
    .slice(0, 6)
    .map((mark) =>
      element(
        "div",
        { class: `note ${colorClass(mark.color)}` },
        element(
          "span",
          {},
          element("b", {}, `${mark.title ?? mark.name} `),
          show(mark.time, "dateTimeAsIso").slice(11),
          ` ${mark.text}`,
        ),
      ),
    );
}
