// The page of incidents: what waits for a person, with its buttons, and what went wrong lately.

import * as api from "./api.js";
import { ask } from "./decide.js";
import { element } from "./dom.js";
import { RUN, format } from "./route.js";
import { ago, show } from "./units.js";

const STATES = {
  open: "red",
  escalated: "red",
  failed: "red",
  waiting: "yellow",
  acting: "yellow",
  settling: "blue",
  resolved: "green",
  ended: "muted",
};
const SEVERITIES = { critical: "red", warning: "yellow", info: "blue" };

export class Incidents {
  constructor(changed) {
    this.changed = changed;
    this.opened = new Set();
    this.said = new Map();
  }

  open(grid) {
    if (this.node?.isConnected) return;
    this.waiting = element("section", { class: "waiting", "aria-label": "Waiting for approval" });
    this.list = element("section", { class: "incidents", "aria-label": "Incidents" });
    this.node = element("div", { class: "incident-page" }, this.waiting, this.list);
    this.shown = null;
    grid.replaceChildren(this.node);
  }

  close() {
    this.node?.remove();
    this.node = null;
  }

  async load() {
    const data = await api.incidents();
    if (this.node && data !== this.shown) {
      this.shown = data;
      this.draw(data);
    }
    for (const time of this.node?.querySelectorAll("time") ?? []) tick(time);
    return data;
  }

  draw({ operator, waiting, incidents }) {
    this.waiting.replaceChildren(
      element("h1", {}, waiting.length ? `Waiting for you (${waiting.length})` : "Nothing waits for you"),
      ...(waiting.length && !operator.may ? [element("p", { class: "note" }, `Deciding is off here: ${operator.why}.`)] : []),
      ...waiting.map((held) => this.card(held, operator)),
    );
    this.list.replaceChildren(
      element("h1", {}, "Incidents"),
      ...(incidents.length
        ? incidents.map((incident) => this.incident(incident))
        : [element("p", { class: "note" }, "No incident yet. What rules find and what is done about it appears here.")]),
    );
  }

  card(held, operator) {
    const facts = Object.entries(held.args).map(([name, value]) => chip(name, value));
    return element(
      "article",
      { class: "card", "data-severity": held.severity, "data-command": held.command },
      element(
        "header",
        {},
        element("h2", {}, held.action, " ", element("span", { class: "of" }, "of "), runLink(held)),
        pill(held.severity, SEVERITIES[held.severity]),
        when(held.time),
      ),
      element("p", { class: "summary" }, held.summary ?? ""),
      element(
        "p",
        { class: "facts" },
        chip("rule", held.rule),
        chip("attempt", held.attempt),
        ...facts,
      ),
      operator.may
        ? this.buttons(held, operator)
        : element("code", { class: "cure" }, `trainwarden commands approve ${held.command}`),
      element("p", { class: "said", role: "status" }, this.said.get(held.command) ?? ""),
    );
  }

  buttons(held, operator) {
    const button = (verdict, text) =>
      element("button", { type: "button", class: verdict, onclick: () => this.decide(held, verdict, operator) }, text);
    return element("div", { class: "buttons" }, button("approve", "Approve"), button("reject", "Reject"));
  }

  async decide(held, verdict, operator) {
    const reason = await ask(held, verdict, operator.author);
    if (reason === null) return;
    const card = this.waiting.querySelector(`[data-command="${CSS.escape(held.command)}"]`);
    for (const button of card?.querySelectorAll("button") ?? []) button.disabled = true;
    this.say(held, "Signed and sent ...");
    try {
      const { answer } = await api.decide(held.command, verdict, reason);
      this.say(held, words(answer));
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      this.say(held, error.message);
    }
    for (const button of card?.querySelectorAll("button") ?? []) button.disabled = false;
    this.changed();
  }

  say(held, text) {
    this.said.set(held.command, text);
    const card = this.waiting?.querySelector(`[data-command="${CSS.escape(held.command)}"]`);
    const line = card?.querySelector(".said");
    if (line) line.textContent = text;
  }

  incident(incident) {
    const { id, state, cause, symptoms = [], actions = [], cost = {} } = incident;
    const node = element(
      "details",
      { class: "incident", open: this.opened.has(id), "data-incident": id },
      element(
        "summary",
        {},
        pill(state, STATES[state]),
        element("span", { class: "what" }, element("b", {}, cause?.rule ?? ""), " ", cause?.summary ?? ""),
        runLink(incident),
        element("span", { class: "done" }, actions.map((one) => `${one.action} ${one.outcome ?? one.state}`).join(", ")),
        when(incident.began),
      ),
      element(
        "div",
        { class: "more" },
        element(
          "p",
          { class: "facts" },
          chip("incident", id),
          chip("attempt", incident.attempt),
          incident.outcome ? chip("outcome", incident.outcome) : null,
          cost.lost_steps ? chip("lost steps", cost.lost_steps) : null,
          cost.lost_seconds ? chip("lost time", show(cost.lost_seconds, "s")) : null,
          cost.gpu_seconds ? chip("GPU time", show(cost.gpu_seconds, "s")) : null,
        ),
        ...symptoms.map((one) => element("p", { class: "symptom" }, element("b", {}, one.rule), " ", one.summary)),
        timeline(incident.timeline ?? []),
      ),
    );
    node.addEventListener("toggle", () => this.opened[node.open ? "add" : "delete"](id));
    return node;
  }
}

function words(answer) {
  if (!answer) return "No worker has decided yet; the word counts once a loop worker runs.";
  if (answer.decision === "refused") return `Refused: ${answer.reason}`;
  return answer.decision === "approved" ? "Approved: it goes out." : "Rejected: it will not go out.";
}

function timeline(entries) {
  return element(
    "ol",
    { class: "timeline" },
    ...entries.map(({ time, kind, text }) =>
      element("li", {}, element("span", { class: "at" }, time.slice(11, 23)), element("b", {}, kind), " ", text),
    ),
  );
}

const pill = (text, color) => element("span", { class: `pill ${color ?? "muted"}` }, text ?? "");

function chip(name, value) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return element("span", { class: "chip" }, element("span", {}, name), ` ${text}`);
}

function runLink({ run, run_name }) {
  return element("a", { class: "run", href: format({ uid: RUN, variables: { run: [run] } }) }, run_name ?? run);
}

function when(time) {
  return tick(element("time", { datetime: time, title: time }));
}

function tick(node) {
  const at = Date.parse(node.getAttribute("datetime"));
  node.textContent = Number.isNaN(at) ? "" : ago(at);
  return node;
}
