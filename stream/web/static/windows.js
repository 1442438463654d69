// Which part of the time, or of the steps, all charts show: zoom, pan, and the way back.

import * as ranges from "./ranges.js";
import * as route from "./route.js";

const SETTLE_MS = 220;
const LEAST = { time: 10, step: 2 };

export class Windows {
  constructor(page) {
    this.page = page;
    this.shown = {}; // by axis: what the hand shows before the address says so
    this.wide = {}; // by axis: where the way back leads
  }

  // What a chart is to show instead of the page's view, if anything.
  of(axis) {
    return this.shown[axis] ?? null;
  }

  preview(axis, from, to) {
    if (!(to - from >= LEAST[axis])) return;
    this.shown[axis] = { from, to };
    this.held = true;
    for (const { drawing } of this.page.panels) if (drawing?.axis === axis) drawing.window(from, to);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.held = false;
      this.go(axis, from, to);
    }, SETTLE_MS);
  }

  go(axis, from, to) {
    const { page } = this;
    const [low, high] = [Math.floor(from), Math.ceil(Math.max(to, from + LEAST[axis]))];
    if (axis === "time") {
      this.wide.time ??= [page.route.from, page.route.to];
      route.go({ ...page.route, from: String(Math.max(low, 0)), to: String(high) });
    } else page.set({ steps: `${Math.max(low, 0)}-${high}` });
  }

  back(axis) {
    const { page } = this;
    if (axis === "step") return page.set({ steps: null });
    if (!ranges.isFixed(page.from, page.to)) return null;
    const [from, to] = this.wide.time ?? [null, null];
    this.wide = {};
    return route.go({ ...page.route, from, to });
  }

  // By a share of what is shown; of the charts along the steps too, when they are zoomed.
  pan(share) {
    const { view } = this.page;
    if (!view) return;
    const { from, to } = this.of("time") ?? view;
    const by = (to - from) * share;
    this.preview("time", from + by, to + by);
  }

  scale(factor) {
    const { view } = this.page;
    if (!view) return;
    const { from, to } = this.of("time") ?? view;
    const middle = (from + to) / 2;
    this.preview("time", middle - ((to - from) / 2) * factor, middle + ((to - from) / 2) * factor);
  }

  // The view follows the address again.
  settle() {
    if (!this.held) this.shown = {};
  }

  forget() {
    this.wide = {};
    this.shown = {};
    this.held = false;
    clearTimeout(this.timer);
  }
}
