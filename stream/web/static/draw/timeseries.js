// Line charts, with uPlot: gaps where a value is not a number, marks, tooltip, zoom.

import uPlot from "../vendor/uplot.js";
import { element } from "../dom.js";
import { configOf } from "../fields.js";
import { clock, day } from "../ranges.js";
import { color } from "../theme.js";
import * as tooltip from "../tooltip.js";
import { show } from "../units.js";
import { draw as drawMarks, marksFor, notes } from "./marks.js";
import * as scales from "./scales.js";

const COLORS = 8;
const SEARCH = 200;

// null says "not a number" to uPlot (a gap), undefined "no sample here" (the line goes on).
const drawable = (value) => (value == null ? undefined : typeof value === "number" ? value : null);

export class TimeSeries {
  constructor(body, panel, page) {
    this.panel = panel;
    this.page = page;
    this.config = configOf(panel, "");
    this.hidden = new Set();
    this.names = [];
    this.chart = element("div", { class: "chart" });
    this.legend = element("div", { class: "legend" });
    body.append(this.chart, this.legend);
    this.observer = new ResizeObserver(() => this.plot?.setSize(this.size));
    this.observer.observe(this.chart);
  }

  get size() {
    return { width: Math.max(this.chart.clientWidth, 60), height: Math.max(this.chart.clientHeight, 40) };
  }

  get points() {
    return Math.max(100, Math.round(this.size.width));
  }

  isEmpty(frame) {
    return !frame.times.length;
  }

  update(frame, range) {
    this.frame = frame;
    this.range = range;
    const names = frame.series.map(({ name }) => name);
    const data = [frame.times, ...frame.series.map(({ values }) => values.map(drawable))];
    if (!this.plot || names.join("\n") !== this.names.join("\n")) this.build(names, data);
    else {
      this.plot.batch(() => {
        this.plot.setData(data, false);
        this.plot.setScale("x", { min: range.from, max: range.to });
      });
    }
    this.marks();
    this.writeLegend();
  }

  annotate() {
    if (this.plot) this.marks();
  }

  restyle() {
    if (this.plot) this.build(this.names, this.plot.data);
    this.annotate();
    this.writeLegend();
  }

  destroy() {
    this.observer.disconnect();
    this.plot?.destroy();
  }

  build(names, data) {
    this.plot?.destroy();
    this.names = names;
    this.layer = element("div", {});
    this.plot = new uPlot(this.options(names), data, this.chart);
    this.plot.over.prepend(this.layer);
    this.plot.over.addEventListener("mouseleave", tooltip.hide);
    this.plot.over.addEventListener("dblclick", () => this.page.zoomOut());
  }

  options(names) {
    const axis = {
      stroke: color("muted"),
      font: "11px system-ui",
      grid: { stroke: color("grid"), width: 1 },
      ticks: { show: false },
    };
    const { config } = this;
    return {
      ...this.size,
      ms: 1,
      legend: { show: false },
      padding: [8, 26, 0, 0],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        sync: { key: "trainwarden", setSeries: false },
        points: { size: 6 },
        dataIdx: (u, series, index) => this.nearest(u.data[series], index),
      },
      scales: {
        x: {
          time: true,
          auto: false,
          min: this.range.from,
          max: this.range.to,
          range: (_, min, max) => [min, max],
        },
        y: {
          range: scales.yRange(config),
          ...(scales.isSymlog(config) ? { distr: 4, asinh: scales.threshold(config) } : {}),
        },
      },
      axes: [
        { ...axis, size: 28, space: 76, values: scales.xLabels },
        {
          ...axis,
          size: scales.axisWidth,
          gap: 4,
          splits: scales.yTicks(config),
          values: scales.yLabels(config),
          filter: (_, ticks) => ticks,
        },
      ],
      series: [{}, ...names.map((name, index) => this.line(name, index))],
      hooks: {
        setSelect: [(u) => this.zoom(u)],
        setCursor: [(u) => this.hover(u)],
        setSize: [() => this.marks()],
        draw: [(u) => this.drawNotFinite(u)],
      },
    };
  }

  line(name, index) {
    const stroke = color(`series-${(index % COLORS) + 1}`);
    const opacity = (this.config.custom?.fillOpacity ?? 0) / 100;
    const fill =
      opacity && !scales.isSymlog(this.config)
        ? stroke +
          Math.round(opacity * 255)
            .toString(16)
            .padStart(2, "0")
        : undefined;
    return {
      label: name,
      stroke,
      fill,
      width: this.config.custom?.lineWidth ?? 1.5,
      show: !this.hidden.has(name),
      spanGaps: false,
      points: { size: 4 },
    };
  }

  // The nearest sample of a line; lines do not share all times.
  nearest(values, index) {
    if (index == null || values[index] != null) return index;
    for (let step = 1; step < SEARCH; step += 1) {
      if (values[index - step] != null) return index - step;
      if (values[index + step] != null) return index + step;
    }
    return index;
  }

  marks() {
    if (this.plot && this.layer)
      drawMarks(this.plot, this.layer, marksFor(this.page.annotations, this.panel.id));
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

  zoom(u) {
    const { left, width } = u.select;
    if (width < 4) return;
    const [from, to] = [left, left + width].map((x) => Math.round(u.posToVal(x, "x")));
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.page.zoom(from, Math.max(to, from + 10));
  }

  hover(u) {
    const { left, top, idxs } = u.cursor;
    this.writeLegend(left >= 0 ? idxs : null);
    if (left < 0 || !u.over.matches(":hover")) return;
    const place = u.over.getBoundingClientRect();
    const at = u.posToVal(left, "x");
    const rows = this.frame.series
      .map((line, index) => ({ ...line, value: line.values[idxs[index + 1]], index }))
      .filter(({ name, value }) => value != null && !this.hidden.has(name))
      .slice(0, 12)
      .map(({ name, value, index }) =>
        element(
          "div",
          { class: "row" },
          this.swatch(index),
          name,
          element("b", {}, show(value, this.config.unit)),
        ),
      );
    tooltip.show(
      place.left + left,
      place.top + top,
      element(
        "div",
        { class: "when" },
        `${day(at)} ${clock(at, this.range.to - this.range.from < 6e5 ? 3 : 0)}`,
      ),
      ...rows,
      ...notes(u, marksFor(this.page.annotations, this.panel.id), left),
    );
  }

  swatch(index) {
    const node = element("span", { class: "swatch" });
    node.style.color = color(`series-${(index % COLORS) + 1}`);
    return node;
  }

  // The last value of each line, or the value under the pointer.
  writeLegend(indexes = null) {
    if (!this.frame || this.panel.options?.legend?.showLegend === false) return;
    const entries = this.frame.series.map(({ name, values }, index) => {
      const value = indexes ? values[indexes[index + 1]] : values.findLast((one) => one != null);
      const pressed = String(!this.hidden.has(name));
      return element(
        "button",
        { type: "button", "aria-pressed": pressed, title: "Show or hide", onclick: () => this.toggle(name) },
        this.swatch(index),
        name,
        element("b", {}, show(value, this.config.unit)),
      );
    });
    this.legend.replaceChildren(...entries);
  }

  toggle(name) {
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.plot.setSeries(this.names.indexOf(name) + 1, { show: !this.hidden.has(name) });
    this.writeLegend();
  }
}
