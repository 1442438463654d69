// What every chart with an axis along the time or the step has: uPlot, gestures, the linked cursor, marks.

import uPlot from "../vendor/uplot.js";
import { element } from "../dom.js";
import { configOf } from "../fields.js";
import { clock, day } from "../ranges.js";
import { color } from "../theme.js";
import * as tooltip from "../tooltip.js";
import { show } from "../units.js";
import * as gestures from "./gestures.js";
import { draw as drawMarks, marksFor, notes } from "./marks.js";
import * as scales from "./scales.js";

const MOST_POINTS = 1000;

export class Plot {
  axis = "time";

  constructor(body, panel, page) {
    this.panel = panel;
    this.page = page;
    this.config = configOf(panel, "");
    this.chart = element("div", { class: "chart" });
    body.append(this.chart);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.chart);
  }

  get size() {
    return { width: Math.max(this.chart.clientWidth, 60), height: Math.max(this.chart.clientHeight, 40) };
  }

  get points() {
    return Math.max(100, Math.min(MOST_POINTS, Math.round(this.size.width)));
  }

  resize() {
    this.plot?.setSize(this.size);
  }

  isEmpty(frame) {
    return !frame.times?.length;
  }

  // What is drawn between; along the time it is what the page shows.
  rangeOf(view) {
    return { from: view.from, to: view.to };
  }

  update(frame, view) {
    this.frame = frame;
    this.view = view;
    this.range = this.page.windows.of(this.axis) ?? this.rangeOf(view);
    const shape = this.shape(frame);
    if (this.plot && shape === this.drawn) {
      this.plot.batch(() => {
        this.plot.setData(this.data(frame), false);
        this.plot.setScale("x", { min: this.range.from, max: this.range.to });
      });
    } else {
      this.drawn = shape;
      this.build();
    }
    this.marks();
  }

  // The same shape can be drawn by the chart that stands; another needs a new one.
  shape(frame) {
    return frame.series.map(({ name }) => name).join("\n");
  }

  build() {
    this.plot?.destroy();
    this.layer = element("div", {});
    this.plot = new uPlot({ ...this.frameOptions(), ...this.options() }, this.data(this.frame), this.chart);
    this.plot.over.prepend(this.layer);
    this.plot.over.addEventListener("mouseleave", tooltip.hide);
    gestures.attach(this.plot, {
      moved: (from, to) => this.page.preview(this.axis, from, to),
      back: () => this.page.zoomOut(this.axis),
    });
  }

  // Show another part at once; the data for it follows.
  window(from, to) {
    this.range = { from, to };
    this.plot?.setScale("x", { min: from, max: to });
    this.marks();
  }

  frameOptions() {
    return {
      ...this.size,
      ms: 1,
      legend: { show: false },
      padding: [8, 26, 0, 0],
      cursor: {
        y: false,
        bind: gestures.bind,
        drag: { x: true, y: false, setScale: false },
        sync: { key: `trainwarden ${this.axis}`, setSeries: false, scales: ["x", null] },
        points: { size: 6 },
        dataIdx: (u, series, index) => this.nearest(u.data[series], index),
      },
      hooks: {
        setSelect: [(u) => this.zoom(u)],
        setCursor: [(u) => this.pointed(u)],
        setSize: [() => this.marks()],
        draw: [(u) => this.drawOver(u)],
      },
    };
  }

  get xScale() {
    return {
      time: false,
      auto: false,
      min: this.range.from,
      max: this.range.to,
      range: (_, min, max) => [min, max],
    };
  }

  get axisLook() {
    return {
      stroke: color("muted"),
      font: "11px system-ui",
      grid: { stroke: color("grid"), width: 1 },
      ticks: { show: false },
    };
  }

  get xAxis() {
    const values = this.axis === "time" ? scales.xLabels : scales.stepLabels;
    const splits = this.axis === "time" ? { splits: scales.timeTicks } : {};
    return { ...this.axisLook, size: 28, space: 76, values, ...splits };
  }

  nearest(_, index) {
    return index;
  }

  drawOver() {}

  marks() {
    if (!this.plot || !this.layer || this.axis !== "time") return;
    drawMarks(this.plot, this.layer, marksFor(this.page.annotations, this.panel.id));
  }

  annotate() {
    this.marks();
  }

  restyle() {
    if (!this.plot) return;
    this.build();
    this.marks();
  }

  destroy() {
    this.observer.disconnect();
    cancelAnimationFrame(this.soon);
    this.plot?.destroy();
  }

  zoom(u) {
    const { left, width } = u.select;
    if (width < 4) return;
    const [from, to] = [left, left + width].map((x) => u.posToVal(x, "x"));
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.page.zoom(this.axis, from, to);
  }

  // Once a frame, however fast the hand is.
  pointed(u) {
    cancelAnimationFrame(this.soon);
    this.soon = requestAnimationFrame(() => u === this.plot && this.hover(u));
  }

  // Whether the pointer itself is here, not the linked cursor of another chart.
  isHere(u) {
    return u.cursor.left >= 0 && u.over.matches(":hover");
  }

  tip(u, at, ...rows) {
    const place = u.over.getBoundingClientRect();
    const when =
      this.axis === "time"
        ? `${day(at)} ${clock(at, this.range.to - this.range.from < 6e5 ? 3 : 0)}`
        : `step ${show(Math.round(at))}`;
    const said = this.axis === "time" ? notes(u, marksFor(this.page.annotations, this.panel.id), u.cursor.left) : [];
    tooltip.show(place.left + u.cursor.left, place.top + u.cursor.top, element("div", { class: "when" }, when), ...rows, ...said);
  }
}
