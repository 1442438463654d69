// The frame of a panel: title, description, and what is shown while there is nothing to draw.

import * as api from "./api.js";
import { element } from "./dom.js";
import { Logs } from "./draw/logs.js";
import { Stat } from "./draw/stat.js";
import { Table } from "./draw/table.js";
import { TimeSeries } from "./draw/timeseries.js";

const KINDS = { timeseries: TimeSeries, stat: Stat, table: Table, logs: Logs };

export class Panel {
  constructor(uid, panel, page) {
    this.uid = uid;
    this.panel = panel;
    this.visible = false;
    this.message = element("div", { class: "message" }, "Loading ...");
    this.body = element("div", { class: "body" });
    const about =
      panel.description &&
      element(
        "span",
        { class: "about", tabindex: "0", title: panel.description, "aria-label": panel.description },
        "i",
      );
    this.node = element(
      "article",
      { class: `panel ${panel.type}`, "data-panel": panel.title },
      element("h2", {}, panel.title, about || null),
      this.body,
    );
    const { x, y, w, h } = panel.gridPos;
    this.node.style.gridColumn = `${x + 1} / span ${w}`;
    this.node.style.gridRow = `${y + 1} / span ${h}`;
    const Kind = KINDS[panel.type];
    if (Kind) this.drawing = new Kind(this.body, panel, page);
    this.body.append(this.message);
    if (!Kind) this.say(`This viewer does not draw ${panel.type} panels; Grafana does.`);
  }

  // Fetch and draw. Errors are shown in the panel and returned.
  async load(view) {
    if (!this.drawing) return null;
    try {
      const frame = await api.panel(
        this.uid,
        this.panel.id,
        this.panel.targets[0].refId,
        this.drawing.points ?? 1000,
        view,
      );
      this.drawing.update(frame, view);
      this.node.classList.remove("stale");
      this.node.dataset.loaded = "true";
      this.say(this.drawing.isEmpty(frame) ? "No data in this time range" : null);
      return null;
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      const known = this.node.dataset.loaded === "true";
      this.node.classList.toggle("stale", known);
      if (error.status === 0 || error.status === 503) this.say(known ? null : "Waiting for the history ...");
      else this.say(error.message, true);
      return error;
    }
  }

  say(text, isError = false) {
    this.message.hidden = !text;
    this.message.textContent = text ?? "";
    this.message.classList.toggle("error", isError);
  }

  annotate() {
    this.drawing?.annotate?.();
  }

  restyle() {
    this.drawing?.restyle?.();
  }

  destroy() {
    this.drawing?.destroy?.();
    this.node.remove();
  }
}
