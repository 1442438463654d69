// Ranks beside the time, a colour for each value: an image of one pixel a cell, stretched over the chart.

import { element, named } from "../dom.js";
import { highest, lowest } from "../reduce.js";
import { color } from "../theme.js";
import { show } from "../units.js";
import { css, palette } from "./colors.js";
import { Rows } from "./rows.js";

const MOST_COLUMNS = 4000;

export class Heatmap extends Rows {
  constructor(body, panel, page) {
    super(body, panel, page);
    const { scheme, reverse } = panel.options?.color ?? {};
    this.palette = palette(scheme, Boolean(reverse));
    this.config = { ...this.config, unit: this.config.unit ?? panel.options?.cellValues?.unit };
    this.bar = element("div", { class: "ramp" });
    this.ends = [element("span"), element("span")];
    this.pointer = element("i", { hidden: true });
    this.bar.style.background = `linear-gradient(to right, ${this.palette.filter((_, index) => index % 15 === 0).map(css)})`;
    this.bar.append(this.pointer);
    body.append(element("div", { class: "scale" }, this.ends[0], this.bar, this.ends[1]));
  }

  get points() {
    return Math.max(60, Math.min(400, Math.round(this.size.width / 3)));
  }

  update(frame, view) {
    this.paint(frame, view);
    super.update(frame, view);
  }

  restyle() {
    if (this.frame) this.paint(this.frame, this.view);
    super.restyle();
  }

  // The image, and what its ends stand for.
  paint(frame, { from, to }) {
    const numbers = frame.series.flatMap(({ values }) => values.filter((value) => typeof value === "number"));
    const { min, max } = this.panel.options?.color ?? {};
    this.low = min ?? this.config.min ?? lowest(numbers) ?? 0;
    this.high = max ?? this.config.max ?? highest(numbers) ?? 1;
    if (!(this.high > this.low)) this.high = this.low + Math.max(Math.abs(this.low) * 0.01, 1e-9);
    this.ends.forEach((end, index) => (end.textContent = numbers.length ? show([this.low, this.high][index], this.config.unit) : ""));
    this.start = frame.times[0] ?? from;
    this.step = Math.max(frame.interval, ((frame.times.at(-1) ?? to) - this.start) / MOST_COLUMNS);
    const columns = Math.max(1, Math.round(((frame.times.at(-1) ?? this.start) - this.start) / this.step) + 1);
    this.image = this.pixels(frame, columns);
  }

  pixels(frame, columns) {
    const canvas = element("canvas", { width: columns, height: Math.max(frame.series.length, 1) });
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const wrong = channelsOf(color("purple"));
    frame.series.forEach(({ values }, row) =>
      values.forEach((value, index) => {
        if (value == null) return;
        const at = 4 * (row * columns + Math.round((frame.times[index] - this.start) / this.step));
        image.data.set([...(typeof value === "number" ? this.colorOf(value) : wrong), 255], at);
      }),
    );
    context.putImageData(image, 0, 0);
    return canvas;
  }

  share(value) {
    return Math.min(1, Math.max(0, (value - this.low) / (this.high - this.low)));
  }

  colorOf(value) {
    return this.palette[Math.round(this.share(value) * 255)];
  }

  drawOver(u) {
    const { ctx, bbox } = u;
    const [left, right] = [this.start, this.start + this.image.width * this.step].map((time) => u.valToPos(time, "x", true));
    const [top, bottom] = [0, this.names.length].map((row) => u.valToPos(row, "y", true));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(this.image, left, top, right - left, bottom - top);
    ctx.restore();
  }

  hover(u) {
    this.pointer.hidden = true;
    if (!this.isHere(u)) return;
    const at = u.posToVal(u.cursor.left, "x");
    const { name, values } = this.frame.series[this.rowAt(u)] ?? {};
    const column = this.columnAt(at);
    const inside = column >= 0 && at - this.frame.times[column] <= this.step;
    const value = inside ? values?.[column] : null;
    if (typeof value === "number") {
      this.pointer.hidden = false;
      this.pointer.style.left = `${100 * this.share(value)}%`;
    }
    this.tip(u, at, element("div", { class: "row" }, named(name ?? ""), element("b", {}, value == null ? "no sample" : show(value, this.config.unit))));
  }
}

function channelsOf(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
