// The page of incidents: what waits for a person, with its buttons, and what went wrong lately.

import * as api from "./api.js";
import { ask } from "./decide.js";
import { element, named } from "./dom.js";
import { Lanes } from "./lanes.js";
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
  constructor(page) {
    this.page = page;
    this.opened = new Set();
    this.said = new Map();
    this.lanes = new Lanes((id) => this.jump(id));
  }

  // The section, above the panels of its dashboard.
  open() {
    this.waiting = element("section", { class: "waiting", "aria-label": "Waiting for approval" });
    this.list = element("section", { class: "incidents", "aria-label": "Incidents" });
    this.search = element("input", {
      type: "search", placeholder: "Rule, run, state ( / )", "aria-label": "Search incidents",
      value: this.page.route.settings.search ?? "",
      oninput: () => this.seek(),
    });
    const tools = element("header", { class: "tools" }, element("h1", {}, "Incidents"), this.search);
    this.node = element("div", { class: "incident-page" }, this.waiting, tools, this.lanes.node, this.list);
    const { incident } = this.page.route.settings;
    if (incident) this.opened.add(incident);
    this.shown = null;
    return this.node;
  }

  close() {
    this.node?.remove();
    this.node = null;
  }

  seek() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.page.set({ search: this.search.value.trim() || null }, { replace: true });
      if (this.shown) this.draw(this.shown);
    }, 200);
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

  // Open one, bring it into sight, and say so in the address.
  jump(id) {
    const node = this.list.querySelector(`[data-incident="${CSS.escape(id)}"]`);
    if (!node) return;
    node.open = true;
    node.scrollIntoView({ block: "center", behavior: "smooth" });
    node.classList.add("sought");
    setTimeout(() => node.classList.remove("sought"), 1500);
    this.page.set({ incident: id }, { replace: true });
  }

  sought(incidents) {
    const wanted = this.search.value.trim().toLowerCase();
    if (!wanted) return incidents;
    return incidents.filter(({ id, run, run_name, state, severity, cause }) =>
      [id, run, run_name, state, severity, cause?.rule, cause?.summary].join(" ").toLowerCase().includes(wanted),
    );
  }

  draw({ operator, waiting, incidents }) {
    this.waiting.replaceChildren(
      element("h1", {}, waiting.length ? `Waiting for you (${waiting.length})` : "Nothing waits for you"),
      ...(waiting.length && !operator.may ? [element("p", { class: "note" }, `Deciding is off here: ${operator.why}.`)] : []),
      ...waiting.map((held) => this.card(held, operator)),
    );
    const held = new Map(waiting.map((one) => [one.incident, one]));
    const found = this.sought(incidents);
    const none = incidents.length ? "Nothing like that." : "No incident yet. What rules find and what is done about it appears here.";
    this.lanes.draw(found, held);
    this.list.replaceChildren(
      ...(found.length
        ? found.map((incident) => this.incident(incident, held.get(incident.id), operator))
        : [element("p", { class: "note" }, none)]),
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
      element("p", { class: "summary" }, named(held.summary ?? "")),
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
    this.page.refresh();
  }

  say(held, text) {
    this.said.set(held.command, text);
    const card = this.waiting?.querySelector(`[data-command="${CSS.escape(held.command)}"]`);
    const line = card?.querySelector(".said");
    if (line) line.textContent = text;
  }

  incident(incident, held, operator) {
    const { id, state, cause, symptoms = [], actions = [], cost = {} } = incident;
    const node = element(
      "details",
      { class: "incident", open: this.opened.has(id), "data-incident": id },
      element(
        "summary",
        {},
        pill(state, STATES[state]),
        element("span", { class: "what" }, element("b", {}, cause?.rule ?? ""), " ", named(cause?.summary ?? "")),
        runLink(incident),
        element("span", { class: "done" }, actions.map((one) => [one.action, one.outcome ?? one.state].filter(Boolean).join(" ")).join(", ")),
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
        ...symptoms.map((one) => element("p", { class: "symptom" }, element("b", {}, one.rule), " ", named(one.summary ?? ""))),
        timeline(incident.timeline ?? [], incident.began),
        held && operator.may ? this.buttons(held, operator) : null,
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

// When each thing was, and how long after the beginning.
function timeline(entries, began) {
  const start = Date.parse(began);
  return element(
    "ol",
    { class: "timeline" },
    ...entries.map(({ time, kind, text }) => {
      const after = (Date.parse(time) - start) / 1000;
      return element(
        "li",
        { "data-kind": kind },
        element("span", { class: "at", title: time }, time.slice(11, 23)),
        element("span", { class: "after" }, Number.isFinite(after) ? `+${show(Math.max(after, 0), "s")}` : ""),
        element("b", {}, kind),
        " ",
        named(text),
      );
    }),
  );
}

const pill = (text, color) => element("span", { class: `pill ${color ?? "muted"}` }, text ?? "");

function chip(name, value) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return element("span", { class: "chip" }, element("span", {}, name), " ", named(text));
}

function runLink({ run, run_name }) {
  return element("a", { class: "run", href: format({ uid: RUN, variables: { run: [run] } }) }, named(run_name ?? run));
}

function when(time) {
  return tick(element("time", { datetime: time, title: time }));
}

function tick(node) {
  const at = Date.parse(node.getAttribute("datetime"));
  node.textContent = Number.isNaN(at) ? "" : ago(at);
  return node;
}
