// The head of the page: tabs, pickers of variables and of the time range, the buttons.

import { byId, element } from "./dom.js";
import { Picker } from "./picker.js";
import * as ranges from "./ranges.js";
import { INCIDENTS, RUN, format } from "./route.js";

const pickers = new Map();
let rangePicker;

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
};

// How many commands wait for a person, beside the tab.
export function showWaiting(count) {
  const badge = byId("tabs").querySelector(".badge");
  badge.hidden = !count;
  badge.textContent = count;
  badge.title = `${count} waiting for approval`;
}

export function showTabs(dashboards, route) {
  const count = byId("tabs").querySelector(".badge")?.textContent ?? "";
  byId("tabs").replaceChildren(
    ...[...dashboards, incidentsTab].map(({ uid, title, description }) =>
      element(
        "a",
        {
          href: format({ uid, variables: uid === RUN ? route.variables : {} }),
          title: description,
          "aria-current": uid === route.uid ? "page" : null,
        },
        title,
        uid === INCIDENTS ? element("span", { class: "badge", hidden: !Number(count) }, count) : null,
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
      picker = new Picker(variable.name, variable.label, (values) => choose(variable.name, values));
      pickers.set(variable.name, picker);
      byId("variables").append(picker.node);
    }
    // A variable with one thing to choose from is only noise.
    picker.node.hidden = variable.includeAll && variable.options.length < 2;
    picker.update(variable);
  }
}

export const openPicker = (name) => pickers.get(name)?.open();

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
