// Charts of rows beside the time: one row a rank or a state.

import { plain } from "../dom.js";
import { Plot } from "./plot.js";
import * as scales from "./scales.js";

export class Rows extends Plot {
  data() {
    return [[this.range.from, this.range.to], [null, null]];
  }

  get names() {
    return this.frame.series.map(({ name }) => name);
  }

  options() {
    const { names } = this;
    return {
      scales: { x: this.xScale, y: { range: () => [0, Math.max(names.length, 1)], dir: -1 } },
      axes: [
        this.xAxis,
        {
          ...this.axisLook,
          grid: { show: false },
          size: scales.axisWidth,
          gap: 4,
          splits: (u) => this.labelled(u).map((row) => row + 0.5),
          values: (_, places) => places.map((place) => cut(names[Math.floor(place)] ?? "")),
          filter: (_, ticks) => ticks,
        },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
    };
  }

  // Rows that have room for their name.
  labelled(u) {
    const { length } = this.names;
    const every = Math.max(1, Math.ceil(length / Math.max(1, Math.floor(u.bbox.height / devicePixelRatio / 15))));
    return Array.from({ length: Math.ceil(length / every) }, (_, index) => index * every);
  }

  rowAt(u) {
    return Math.min(this.names.length - 1, Math.max(0, Math.floor(u.posToVal(u.cursor.top, "y"))));
  }

  // The sample that covers a time: the last one before it, within one interval or until the next.
  columnAt(time) {
    const { times } = this.frame;
    let [low, high] = [0, times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  shape() {
    return this.names.join("\n");
  }

  isEmpty(frame) {
    return !frame.times.length || !frame.series.length;
  }
}

const cut = (name) => {
  const text = plain(name);
  return text.length > 18 ? `${text.slice(0, 17)}…` : text;
};
