// The frame of a panel: title, description, links, and what is shown while there is nothing to draw.

import * as api from "./api.js";
import { byId, element } from "./dom.js";
import { KINDS } from "./draw/kinds.js";
import { filled } from "./fields.js";
import { merged } from "./merge.js";
import { fromLink } from "./route.js";

// An answer that took long is asked for again after so many times as long, so that no panel keeps the database busy.
const REST = 6;
const LONG_MS = 300;

export class Panel {
  constructor(uid, panel, page) {
    this.uid = uid;
    this.panel = panel;
    this.page = page;
    this.visible = false;
    this.message = element("div", { class: "message" }, "Loading ...");
    this.body = element("div", { class: "body" });
    this.title = element("span", { class: "title", title: panel.title }, filled(panel.title, page.route.variables));
    this.node = element(
      "article",
      { class: `panel ${panel.type}${panel.transparent ? " transparent" : ""}`, "data-panel": panel.title, "data-id": panel.id },
      element("h2", {}, this.title, this.about(), ...this.links(), this.expander()),
      this.body,
    );
    const Kind = KINDS[panel.type];
    if (Kind) this.drawing = new Kind(this.body, panel, page);
    this.body.append(this.message);
    if (!Kind) {
      this.node.dataset.loaded = "true";
      this.say(`This viewer does not draw ${panel.type} panels; Grafana does.`);
    }
  }

  about() {
    const { description } = this.panel;
    if (!description) return null;
    return element("span", { class: "about", tabindex: "0", title: description, "aria-label": description }, "i");
  }

  links() {
    return (this.panel.links ?? []).flatMap(({ title, url }) => {
      const href = fromLink(filled(url, this.page.route.variables));
      return href ? [element("a", { class: "link", href, title }, "↗")] : [];
    });
  }

  expander() {
    const toggle = () => {
      const alone = this.page.route.settings.viewPanel === String(this.panel.id);
      this.page.set({ viewPanel: alone ? null : String(this.panel.id) });
    };
    return element("button", { type: "button", class: "expand", title: "This panel alone, and back (Escape)", "aria-label": `${this.panel.title} alone, and back`, onclick: toggle }, "⤢");
  }

  // What is asked for, whatever the clock says.
  wish(view) {
    return JSON.stringify([view.key, view.variables, this.drawing.asked]);
  }

  // Whether the clock may let this panel rest: the same is on its way, or took long just now.
  rests(view) {
    return this.wished === this.wish(view) && (this.loading || performance.now() < this.until);
  }

  // Fetch and draw; what was asked for before and is still on its way is given up. Errors are shown and returned.
  async load(view) {
    if (!this.drawing) return null;
    this.loading?.abort();
    const stop = (this.loading = new AbortController());
    const began = performance.now();
    this.wished = this.wish(view);
    try {
      return await this.show(view, stop.signal);
    } finally {
      const took = performance.now() - began;
      if (this.loading === stop) {
        this.loading = null;
        this.until = took > LONG_MS ? performance.now() + REST * took : 0;
      }
    }
  }

  async show(view, signal) {
    this.title.textContent = filled(this.panel.title, view.variables);
    try {
      const frame = await this.fetch(view, signal);
      if (this.gone || signal.aborted) return null;
      this.drawing.update(frame, this.page.view ?? view);
      this.node.classList.remove("stale");
      this.node.dataset.loaded = "true";
      this.say(this.drawing.isEmpty(frame) ? this.nothing() : null);
      return null;
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      if (this.gone || signal.aborted) return null;
      const known = this.node.dataset.loaded === "true";
      this.node.classList.toggle("stale", known);
      if (error.status === 0 || error.status === 503) this.say(known ? null : "Waiting for the history ...");
      else this.say(error.message, true);
      return error;
    }
  }

  async fetch(view, signal) {
    if (!this.panel.targets?.length || this.drawing.constructor.needsNoData) return { fields: [] };
    const { points = 1000, asked } = this.drawing;
    const wide = this.drawing.beyond?.(view) ?? { view, points };
    const frames = this.panel.targets
      .filter(({ hide }) => !hide)
      .map(({ refId }) => api.panel(this.uid, this.panel.id, refId, wide.points, wide.view, asked, signal));
    return merged(await Promise.all(frames));
  }

  nothing() {
    const asked = Object.values(this.drawing.asked ?? {});
    return asked.length ? "Nothing like that in this time range" : "No data in this time range";
  }

  say(text, isError = false) {
    this.message.hidden = !text;
    this.message.replaceChildren(...(text ? [element("span", {}, text)] : []));
    this.message.classList.toggle("error", isError);
  }

  annotate() {
    this.drawing?.annotate?.();
  }

  restyle() {
    this.drawing?.restyle?.();
  }

  destroy() {
    this.gone = true;
    this.loading?.abort();
    this.drawing?.destroy?.();
    this.node.remove();
    byId("tooltip").hidden = true;
  }
}
