// Log lines, newest first as the query gives them; searched in the database, long ones folded.

import { element } from "../dom.js";
import { clock, day } from "../ranges.js";
import * as whole from "../whole.js";

// OpenTelemetry's and Python's words for the levels we colour.
const LEVELS = { warning: "warn", critical: "fatal", err: "error" };
const SEVERITIES = [["", "all"], ["info", "info and above"], ["warn", "warnings and above"], ["error", "errors"]];
const FOLDED = 600;
const WAIT_MS = 300;

export class Logs {
  constructor(body, panel, page) {
    this.panel = panel;
    this.page = page;
    this.search = element("input", {
      type: "search",
      placeholder: "Search in all lines of this range ( / )",
      "aria-label": "Search log lines",
      oninput: () => this.wait(),
      onkeydown: (event) => event.key === "Escape" && this.search.blur(),
    });
    this.level = element(
      "select",
      { "aria-label": "Least severity", onchange: () => this.ask() },
      ...SEVERITIES.map(([value, text]) => element("option", { value }, text)),
    );
    this.count = element("span", { class: "count" });
    this.lines = element("div", { class: "scroll lines" });
    body.classList.add("searched");
    body.append(element("div", { class: "tools" }, this.search, this.level, this.count), this.lines);
    this.opened = new Set();
  }

  // What the reader looks for, as parameters of the query.
  get asked() {
    const { search = "", level = "" } = this.page.route.settings;
    return { ...(search ? { search } : {}), ...(level ? { level } : {}) };
  }

  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT_MS);
  }

  ask() {
    clearTimeout(this.timer);
    this.page.set({ search: this.search.value.trim() || null, level: this.level.value || null });
  }

  isEmpty(frame) {
    return !frame.fields[0]?.values.length;
  }

  update(frame, view) {
    const { search = "", level = "" } = this.page.route.settings;
    if (document.activeElement !== this.search) this.search.value = search;
    this.level.value = level;
    if (frame === this.frame && search === this.marked) return;
    this.frame = frame;
    this.view = view;
    this.marked = search;
    const [times, levels, bodies, sizes, digests] = ["timestamp", "level", "body", "size", "digest"].map(
      (name) => frame.fields.find((field) => field.name === name)?.values ?? [],
    );
    this.count.textContent = `${times.length} ${times.length === 1 ? "line" : "lines"}`;
    this.lines.replaceChildren(
      ...times.map((time, index) =>
        this.line(time, levels[index] ?? "", bodies[index] ?? "", { size: sizes[index], digest: digests[index] }),
      ),
    );
  }

  line(time, word, body, rest) {
    const level = LEVELS[word] ?? word.replace(/\d+$/, "");
    const key = `${time} ${rest.digest}${body.length}`;
    const long = body.length > FOLDED && !this.opened.has(key);
    const text = element("span", { class: "text" });
    const unfold = () => {
      this.opened.add(key);
      text.replaceChildren(...marked(body, this.marked), this.rest(rest, body));
    };
    const shown = long ? body.slice(0, FOLDED) : body;
    text.append(...marked(shown, this.marked));
    if (long) text.append(element("button", { type: "button", class: "more", onclick: unfold }, "… more"));
    else text.append(this.rest(rest, body));
    return element(
      "div",
      { class: level },
      element("time", { title: day(time) }, clock(time, 3)),
      element("span", { class: "level" }, level),
      text,
    );
  }

  rest({ size, digest }, begin) {
    if (!size) return "";
    const ask = () => whole.show(this.page, this.panel, { field: "body", digest, size, begin });
    return element("button", { type: "button", class: "more", onclick: ask }, `… all ${size.toLocaleString("en")} characters`);
  }
}

// The text with what was searched for marked in it.
function marked(body, wanted) {
  if (!wanted) return [element("span", {}, body)];
  const [low, sought] = [body.toLowerCase(), wanted.toLowerCase()];
  const parts = [];
  let position = 0;
  for (let at = low.indexOf(sought); at >= 0 && parts.length < 200; at = low.indexOf(sought, position)) {
    parts.push(element("span", {}, body.slice(position, at)), element("mark", {}, body.slice(at, at + sought.length)));
    position = at + sought.length;
  }
  return [...parts, element("span", {}, body.slice(position))];
}
