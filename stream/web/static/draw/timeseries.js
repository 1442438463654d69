// Line charts: gaps where a value is not a number, stacks and bars, thresholds, smoothing, log scale.

import { element, named } from "../dom.js";
import { configOf, lineColor } from "../fields.js";
import { color } from "../theme.js";
import { show } from "../units.js";
import { Legend } from "./legend.js";
import * as lines from "./lines.js";
import { Plot } from "./plot.js";
import * as scales from "./scales.js";

const SEARCH = 200;
const ROWS = 14;

export const widened = ({ from, to }) => [Math.max(0, Math.floor(from - (to - from) / 2)), Math.ceil(to + (to - from) / 2)];

export class TimeSeries extends Plot {
  constructor(body, panel, page) {
    super(body, panel, page);
    this.hidden = new Set();
    this.legend = new Legend(body, panel, (name, several) => this.choose(name, several));
  }

  shape(frame) {
    const { scale, smooth } = this.page.display;
    return [scale, Boolean(smooth), ...frame.series.map(({ name }) => name)].join("\n");
  }

  data(frame) {
    return lines.columns(frame, this.config, this.page.display, this.hidden);
  }

  // Of a part, half as much again is asked for on either side, so that a hand that pans finds it there.
  beyond(view) {
    const { points } = this;
    if (!view.fixed) return { view, points };
    const [from, to] = widened(view);
    return { view: { ...view, from, to }, points: 2 * points };
  }

  // Where the samples lie that the range shows: [begin, end).
  get shown() {
    const { times } = this.frame;
    return [this.range.from, this.range.to].map((end, at) => {
      const place = times.findIndex((time) => (at ? time > end : time >= end));
      return place < 0 ? times.length : place;
    });
  }

  // A line that only passes through is something to see too.
  isEmpty({ times }) {
    return !times.length || times[0] > this.range.to || times.at(-1) < this.range.from;
  }

  update(frame, view) {
    super.update(frame, view);
    this.legend.write(frame, null, this.shown);
  }

  build() {
    this.configs = this.frame.series.map(({ name }) => configOf(this.panel, name, "number"));
    super.build();
    this.legend.build(this.frame, this.hidden);
    this.legend.write(this.frame, null, this.shown);
  }

  // Another scale or another smoothing.
  redisplay() {
    if (this.frame?.series) this.update(this.frame, this.view);
  }

  options() {
    const { display } = this.page;
    const keys = [...new Set(this.configs.map(scales.keyOf))];
    if (!keys.length) keys.push(scales.keyOf(this.config));
    return {
      scales: { x: this.xScale, ...Object.fromEntries(keys.map((key) => [key, this.yScale(key, display)])) },
      axes: [this.xAxis, ...keys.slice(0, 2).map((key, index) => this.yAxis(key, index, display))],
      series: [{}, ...this.series(display)],
      ...(lines.isStacked(this.config) && this.config.custom.drawStyle !== "bars"
        ? { bands: this.configs.slice(1).map((_, index) => ({ series: [index + 1, index + 2] })) }
        : {}),
    };
  }

  of(key) {
    return this.configs.find((config) => scales.keyOf(config) === key) ?? this.config;
  }

  yScale(key, { scale }) {
    const config = this.of(key);
    if (scales.isLog(config, scale)) return { distr: 3, log: 10, range: scales.logRange };
    const zero = lines.isStacked(config) || config.custom?.drawStyle === "bars";
    const range = scales.yRange(zero ? { min: 0, ...config } : config, scale);
    return scales.isSymlog(config, scale) ? { range, distr: 4, asinh: scales.linear(config) } : { range };
  }

  yAxis(key, index, { scale }) {
    const config = this.of(key);
    return {
      ...this.axisLook,
      scale: key,
      side: index ? 1 : 3,
      size: scales.axisWidth,
      gap: 4,
      ...(index ? { grid: { show: false } } : {}),
      values: scales.yLabels(config),
      filter: (_, ticks) => ticks,
      splits: scales.isLog(config, scale) ? scales.logTicks : scales.yTicks(config, scale),
    };
  }

  series({ scale, smooth }) {
    const { hidden, configs } = this;
    const each = (behind) =>
      this.frame.series.map(({ name }, index) =>
        lines.line(configs[index], index, { name, hidden, scale, smooth, behind, count: configs.length }),
      );
    if (!smooth || lines.isStacked(this.config)) return each(false);
    return [...each(true), ...each(false)];
  }

  // The nearest sample of a line; lines do not share all times.
  nearest(values, index) {
    if (index == null || !values || values[index] != null) return index;
    for (let step = 1; step < SEARCH; step += 1) {
      if (values[index - step] != null) return index - step;
      if (values[index + step] != null) return index + step;
    }
    return index;
  }

  drawOver(u) {
    lines.drawThresholds(u, this.config);
    this.drawNotFinite(u);
  }

  // A small cross at the top where a line's value was not a number.
  drawNotFinite(u) {
    const context = u.ctx;
    const size = 3.5 * devicePixelRatio;
    context.save();
    context.strokeStyle = color("red");
    context.lineWidth = 1.5 * devicePixelRatio;
    context.beginPath();
    for (const { name, values } of this.frame.series) {
      if (this.hidden.has(name)) continue;
      values.forEach((value, index) => {
        if (typeof value !== "string") return;
        const x = u.valToPos(this.frame.times[index], "x", true);
        const y = u.bbox.top + 2 * size;
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
        context.moveTo(x - size, y - size);
        context.lineTo(x + size, y + size);
        context.moveTo(x + size, y - size);
        context.lineTo(x - size, y + size);
      });
    }
    context.stroke();
    context.restore();
  }

  hover(u) {
    const { left, idxs } = u.cursor;
    this.legend.write(this.frame, left >= 0 ? idxs : null, this.shown);
    if (!this.isHere(u)) return;
    this.tip(u, u.posToVal(left, "x"), ...this.rows(u, idxs));
  }

  // The values under the pointer, the highest first; of many, those around the pointer.
  rows(u, indexes) {
    const { smooth } = this.page.display;
    const offset = smooth && !lines.isStacked(this.config) ? this.frame.series.length : 0;
    const all = this.frame.series
      .map(({ name, values }, index) => ({ name, value: values[indexes[index + 1]], index }))
      .filter(({ name, value }) => value != null && !this.hidden.has(name))
      .map((row) => ({ ...row, drawn: u.data[row.index + 1 + offset]?.[indexes[row.index + 1]] ?? row.value }))
      .sort((a, b) => order(b.drawn) - order(a.drawn));
    const near = this.nearestRow(u, all);
    const start = Math.max(0, Math.min(near - Math.floor(ROWS / 2), all.length - ROWS));
    const rows = all.slice(start, start + ROWS).map((row) => this.row(row, row === all[near] && all.length > 1, offset));
    const rest = all.length - rows.length;
    return rest > 0 ? [...rows, element("div", { class: "rest" }, `${start ? `${start} above, ` : ""}${all.length - start - rows.length} below`)] : rows;
  }

  nearestRow(u, rows) {
    let best = 0;
    let least = Infinity;
    rows.forEach(({ index, drawn }, at) => {
      const far = Math.abs(u.valToPos(drawn, scales.keyOf(this.configs[index])) - u.cursor.top);
      if (far < least) [least, best] = [far, at];
    });
    return best;
  }

  row({ name, value, drawn, index }, near, smooth) {
    const { unit, decimals } = this.configs[index];
    return element(
      "div",
      { class: near ? "row near" : "row" },
      this.swatch(index),
      named(name),
      element("b", {}, show(smooth ? drawn : value, unit, decimals)),
      smooth ? element("span", { class: "raw" }, show(value, unit, decimals)) : null,
    );
  }

  swatch(index) {
    const node = element("span", { class: "swatch" });
    node.style.color = lineColor(this.configs[index], index);
    return node;
  }

  // One line alone, or all again; with `several`, this one more or less.
  choose(name, several) {
    const names = this.frame.series.map((line) => line.name);
    const shown = names.filter((one) => !this.hidden.has(one));
    if (several) {
      if (!this.hidden.delete(name)) this.hidden.add(name);
    } else if (shown.length === 1 && shown[0] === name) this.hidden.clear();
    else this.hidden = new Set(names.filter((one) => one !== name));
    this.build();
    this.marks();
  }
}

const order = (value) => (typeof value === "number" ? value : Infinity);
