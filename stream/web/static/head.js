// The head of the page: tabs, pickers of variables and of the time range, the buttons.

import { byId, element } from "./dom.js";
import { Picker } from "./picker.js";
import * as ranges from "./ranges.js";
import { INCIDENTS, format } from "./route.js";

const pickers = new Map();
let rangePicker;

// In the order of a day's work; the short word where the title is long.
const ORDER = ["fleet", "run", "ranks", "checkpoints", "incidents", "rl", "pipeline"];
const SHORT = { ranks: "Ranks", incidents: "Incidents", pipeline: "Pipeline" };

const nameOf = (uid) => uid.replace(/^trainwarden-/, "");

export function start(page) {
  rangePicker = new Picker("range", "", ([value]) => page.setRange(...value.split(" ")), {
    searchable: false,
  });
  byId("range").append(rangePicker.node);
  byId("live").addEventListener("click", () => page.toggleLive());
  byId("refresh").addEventListener("click", () => page.refresh());
}

const incidentsTab = {
  uid: INCIDENTS,
  title: "Incidents",
  description: "What went wrong, what was done, and what waits for you",
  variables: [],
  bare: true, // no panels, but what waits and what happened
};

// All pages in their order, that of incidents among them even where it has no dashboard.
export function pages(dashboards) {
  const all = dashboards.some(({ uid }) => uid === INCIDENTS) ? dashboards : [...dashboards, incidentsTab];
  const place = ({ uid }) => (ORDER.indexOf(nameOf(uid)) + 100) % 100;
  return [...all].sort((a, b) => place(a) - place(b));
}

// How many commands wait for a person, beside the tab.
export function showWaiting(count) {
  const badge = byId("tabs").querySelector(".badge");
  if (!badge) return;
  badge.hidden = !count;
  badge.textContent = count;
  badge.title = `${count} waiting for approval`;
}

// What is chosen here is kept where the other dashboard has a variable of that name.
export function addressOf({ uid, variables }, chosen) {
  const kept = Object.entries(chosen).filter(([name]) => (variables ?? []).includes(name));
  return { uid, variables: Object.fromEntries(kept) };
}

export function showTabs(dashboards, route) {
  const count = byId("tabs").querySelector(".badge")?.textContent ?? "";
  byId("tabs").replaceChildren(
    ...dashboards.map((page) =>
      element(
        "a",
        {
          href: format(addressOf(page, route.variables)),
          title: `${page.title}\n${page.description}`,
          "aria-current": page.uid === route.uid ? "page" : null,
        },
        SHORT[nameOf(page.uid)] ?? page.title,
        page.uid === INCIDENTS ? element("span", { class: "badge", hidden: !Number(count) }, count) : null,
      ),
    ),
  );
}

// Time range and variables belong to dashboards only.
export function showControls(shown) {
  byId("range").hidden = !shown;
  byId("variables").hidden = !shown;
}

export function showVariables(variables, choose) {
  for (const [name, picker] of pickers) {
    if (variables.some((variable) => variable.name === name)) continue;
    picker.node.remove();
    pickers.delete(name);
  }
  for (const variable of variables) {
    let picker = pickers.get(variable.name);
    if (!picker) {
      const Kind = variable.kind === "textbox" ? Box : Picker;
      picker = new Kind(variable.name, variable.label, (values) => choose(variable.name, values));
      pickers.set(variable.name, picker);
      byId("variables").append(picker.node);
    }
    // A variable with one thing to choose from is only noise.
    const poor = variable.kind !== "textbox" && variable.includeAll && variable.options.length < 2;
    picker.node.hidden = variable.hidden || poor;
    picker.update(variable);
  }
}

// A variable that is typed.
class Box {
  constructor(name, label, choose) {
    this.input = element("input", {
      type: "search", placeholder: label, "aria-label": label, onchange: () => choose([this.input.value]),
    });
    this.node = element("div", { class: "picker", "data-picker": name }, this.input);
  }

  update({ current }) {
    if (document.activeElement !== this.input) this.input.value = current[0] ?? "";
  }

  open() {
    this.input.focus();
  }
}

export const openPicker = (name) => {
  const picker = pickers.get(name);
  if (!picker || picker.node.hidden) return false;
  picker.open();
  return true;
};

export function showRange(from, to, withRun) {
  const presets = ranges.PRESETS.filter(([start]) => withRun || start !== "run");
  const options = presets.map(([start, end, text]) => ({ value: `${start} ${end}`, text }));
  const value = `${from} ${to}`;
  if (!options.some((option) => option.value === value))
    options.unshift({ value, text: ranges.label(from, to) });
  rangePicker.update({ options, current: [value], multi: false, includeAll: false });
}

export function showLive(live, text) {
  const button = byId("live");
  button.setAttribute("aria-pressed", String(live));
  button.querySelector(".word").textContent = live ? "Live" : "Paused";
  button.title = `${live ? "Pause" : "Go on"} (p)\n${text}`;
}

export function showBanner(text) {
  const banner = byId("banner");
  banner.hidden = !text;
  banner.textContent = text ?? "";
}
