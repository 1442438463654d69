// State timelines and status histories: what each row was in, as coloured stretches with their word.

import { element, named, plain } from "../dom.js";
import { configOf, cssColor, lineColor, look } from "../fields.js";
import { show } from "../units.js";
import { Rows } from "./rows.js";

export class States extends Rows {
  get joins() {
    return this.panel.type === "state-timeline";
  }

  get points() {
    return this.joins ? super.points : Math.max(40, Math.round(this.size.width / 12));
  }

  update(frame, view) {
    const words = frame.series.flatMap(({ values }) => values.filter((value) => typeof value === "string"));
    this.words = [...new Set(words)].sort();
    super.update(frame, view);
  }

  // Stretches of one row: { from, to, value }; the same again goes on, a sample without a value ends it.
  stretches({ values }) {
    const { times, interval } = this.frame;
    const found = [];
    let next = Math.max(Math.min(this.view.to, Date.now()), times.at(-1) ?? 0);
    for (let index = values.length - 1; index >= 0; index -= 1) {
      const value = values[index];
      if (value == null) continue;
      const to = this.joins ? next : times[index] + interval;
      next = times[index];
      if (value === "") continue; // ends what was before, and is nothing itself
      const later = found.at(-1);
      if (this.joins && later?.value === value && later.from === to) later.from = times[index];
      else found.push({ from: times[index], to, value });
    }
    return found.reverse();
  }

  faceOf(name, value) {
    const config = configOf(this.panel, name);
    const { text, color } = look(config, value);
    const own = typeof value === "string" ? lineColor({}, this.words.indexOf(value)) : lineColor({}, 0);
    return { text: text ?? show(value, config.unit, config.decimals), color: color ? cssColor(color) : own };
  }

  drawOver(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${11 * devicePixelRatio}px system-ui`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    const share = this.panel.options?.rowHeight ?? 0.86;
    this.frame.series.forEach((series, row) => {
      const [top, bottom] = [row + (1 - share) / 2, row + (1 + share) / 2].map((place) => u.valToPos(place, "y", true));
      for (const stretch of this.stretches(series)) this.stretch(u, series.name, stretch, top, bottom);
    });
    ctx.restore();
  }

  stretch(u, name, { from, to, value }, top, bottom) {
    const { ctx, bbox } = u;
    const left = Math.max(u.valToPos(from, "x", true), bbox.left);
    const right = Math.min(u.valToPos(to, "x", true), bbox.left + bbox.width);
    if (right < bbox.left || left > bbox.left + bbox.width) return;
    const face = this.faceOf(name, value);
    ctx.globalAlpha = 0.82;
    ctx.fillStyle = face.color;
    ctx.fillRect(left, top, Math.max(right - left - (this.joins ? 0 : devicePixelRatio), 1.5 * devicePixelRatio), bottom - top);
    ctx.globalAlpha = 1;
    const text = plain(face.text).slice(0, 40);
    if (this.panel.options?.showValue === "never" || bottom - top < 14 * devicePixelRatio) return;
    if (ctx.measureText(text).width + 10 * devicePixelRatio > right - left) return;
    ctx.fillStyle = "#fff";
    ctx.fillText(text, left + 5 * devicePixelRatio, (top + bottom) / 2);
  }

  hover(u) {
    if (!this.isHere(u)) return;
    const at = u.posToVal(u.cursor.left, "x");
    const series = this.frame.series[this.rowAt(u)];
    const found = series && this.stretches(series).findLast(({ from, to }) => from <= at && at <= to);
    const face = found ? this.faceOf(series.name, found.value) : null;
    const swatch = element("span", { class: "swatch square" });
    if (face) swatch.style.color = face.color;
    this.tip(u, at, element("div", { class: "row" }, face ? swatch : null, named(series?.name ?? ""), element("b", {}, face?.text ?? "no sample")),
      found ? element("div", { class: "rest" }, `for ${show((found.to - found.from) / 1000, "s")}`) : "");
  }
}
