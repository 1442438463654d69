// Incidents beside the time: one bar from beginning to end each, in as few lanes as do not overlap.

import { element, named } from "./dom.js";
import * as tooltip from "./tooltip.js";
import { clock, day } from "./ranges.js";
import { show } from "./units.js";

const MOST_LANES = 12;
const LEAST_SHARE = 0.006; // of the width; shorter ones would not be seen

export class Lanes {
  constructor(chosen) {
    this.chosen = chosen;
    this.node = element("section", { class: "lanes", "aria-label": "Timeline of incidents" });
    this.node.addEventListener("mouseleave", tooltip.hide);
  }

  draw(incidents, held) {
    const now = Date.now();
    const all = incidents
      .map((incident) => ({ incident, from: Date.parse(incident.began), to: incident.ended ? Date.parse(incident.ended) : now }))
      .filter(({ from, to }) => Number.isFinite(from) && Number.isFinite(to))
      .sort((a, b) => a.from - b.from);
    this.node.hidden = !all.length;
    if (!all.length) return;
    this.low = all[0].from;
    this.high = Math.max(...all.map(({ from, to }) => Math.max(from, to)), this.low + 60_000);
    const lanes = this.sorted(all);
    this.node.replaceChildren(
      ...lanes.map((lane) => element("div", { class: "lane" }, ...lane.flatMap((one) => [this.bar(one, held)]))),
      this.axis(),
    );
  }

  share(time) {
    return (time - this.low) / (this.high - this.low);
  }

  // Each into the first lane that is free; what does not fit goes into the last.
  sorted(all) {
    const lanes = [];
    for (const one of all) {
      const free = lanes.find((lane) => this.share(one.from) > this.share(lane.at(-1).to) + 2 * LEAST_SHARE);
      if (free) free.push(one);
      else if (lanes.length < MOST_LANES) lanes.push([one]);
      else lanes.at(-1).push(one);
    }
    return lanes;
  }

  bar({ incident, from, to }, held) {
    const { id, severity, ended, cause, timeline = [] } = incident;
    const node = element("button", {
      type: "button", class: `bar ${held.has(id) ? "held" : ""} ${ended ? "" : "open"}`, "data-severity": severity, "data-bar": id,
      "aria-label": `${cause?.rule ?? ""} ${incident.run_name ?? incident.run}`,
      onclick: () => this.chosen(id),
      onmousemove: (event) => tooltip.show(event.clientX, event.clientY, ...words(incident, from, to, held.has(id))),
    }, element("span", {}, cause?.rule ?? ""));
    const [left, right] = [this.share(from), Math.max(this.share(to), this.share(from) + LEAST_SHARE)];
    node.style.left = `${100 * Math.min(left, 1 - LEAST_SHARE)}%`;
    node.style.width = `${100 * (right - left)}%`;
    for (const { time } of timeline.slice(0, 60)) {
      const at = (Date.parse(time) - from) / (to - from);
      if (!(at >= 0 && at <= 1)) continue;
      const tick = element("i");
      tick.style.left = `${100 * at}%`;
      node.append(tick);
    }
    return node;
  }

  axis() {
    const length = this.high - this.low;
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
      const time = this.low + share * length;
      const moment = clock(time).slice(0, length < 6e5 ? 8 : 5);
      const text = length > 864e5 ? `${day(time).slice(5)} ${moment}` : moment;
      return element("span", {}, text);
    });
    return element("div", { class: "ends" }, ...ticks);
  }
}

function words({ severity, state, cause, run, run_name }, from, to, waits) {
  return [
    element("div", { class: "when" }, `${day(from)} ${clock(from)}, ${show((to - from) / 1000, "s")}`),
    element("div", { class: "row" }, element("b", { class: "first" }, cause?.rule ?? ""), element("span", {}, severity ?? "")),
    element("div", {}, named(run_name ?? run)),
    element("div", {}, named((cause?.summary ?? "").slice(0, 300))),
    element("div", { class: "rest" }, waits ? `${state}, waits for you` : (state ?? "")),
  ];
}
