// Grafana's field configuration: defaults, overrides, value mappings, thresholds, colours, links.

import { color as themeColor } from "./theme.js";

export function configOf(panel, name, kind = "") {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const config = { ...defaults, custom: { ...defaults.custom } };
  for (const { matcher, properties } of overrides) {
    if (!matches(matcher, name, kind)) continue;
    for (const { id, value } of properties) {
      if (id.startsWith("custom.")) config.custom[id.slice(7)] = value;
      else config[id] = value;
    }
  }
  return config;
}

function matches({ id, options }, name, kind) {
  if (id === "byName") return options === name;
  if (id === "byType") return options === kind;
  if (id === "byNames") return (options?.names ?? []).includes(name);
  if (id === "byRegexp") return expression(options)?.test(name) ?? false;
  return false;
}

// Grafana writes /pattern/flags, or a pattern that must fit the whole name.
function expression(text) {
  const slashed = /^\/(.*)\/([a-z]*)$/s.exec(text);
  try {
    return slashed ? new RegExp(slashed[1], slashed[2]) : new RegExp(`^${text}$`);
  } catch {
    return null;
  }
}

// Text and colour that a value mapping gives a value, if any does.
function mapped(config, value) {
  for (const { type, options } of config.mappings ?? []) {
    if (type === "value" && Object.hasOwn(options, String(value))) return options[String(value)];
    if (type === "range" && inside(options, value)) return options.result;
    if (type === "regex" && expression(options.pattern)?.test(String(value))) return options.result;
    if (type === "special" && isSpecial(options.match, value)) return options.result;
  }
  return null;
}

const inside = ({ from, to }, value) =>
  typeof value === "number" && value >= (from ?? -Infinity) && value <= (to ?? Infinity);

function isSpecial(match, value) {
  const words = { null: [null], nan: ["NaN"], "null+nan": [null, "NaN"], true: [true], false: [false], empty: [""] };
  return (words[match] ?? []).includes(value ?? null);
}

export function threshold(config, value) {
  let color = null;
  const { steps = [], mode } = config.thresholds ?? {};
  const low = config.min ?? 0;
  const at = mode === "percentage" ? ((value - low) / ((config.max ?? 1) - low)) * 100 : value;
  for (const step of steps) {
    if (step.value == null || at >= step.value) color = step.color;
  }
  return color;
}

export function look(config, value) {
  const result = mapped(config, value);
  return {
    text: result?.text ?? null,
    color: result?.color ?? (typeof value === "number" ? threshold(config, value) : null),
  };
}

const PLACE = /\$\{__data\.fields\.([^}:]+?)(?::\w+)?\}|\$\{__data\.fields\["([^"]+)"\](?::\w+)?\}/g;

// The address of a field's link: other columns of the row, the value, and the range are filled in.
export function linkOf(config, row, value, view) {
  const url = config.links?.[0]?.url;
  if (!url) return null;
  return url
    .replace(PLACE, (_, bare, quoted) => encodeURIComponent(row[bare ?? quoted] ?? ""))
    .replace(/\$\{__value\.(?:raw|text)(?::\w+)?\}/g, () => encodeURIComponent(value ?? ""))
    .replace(/\$\{?__url_time_range\}?/g, () => `from=${view.from}&to=${view.to}`)
    .replace(/\$\{(\w+):queryparam\}/g, (_, name) => asParameters(name, view))
    .replace(/\$\{(\w+)(?::percentencode)?\}/g, (whole, name) =>
      view.variables[name] ? view.variables[name].map(encodeURIComponent).join(",") : whole,
    );
}

const asParameters = (name, view) =>
  (view.variables[name] ?? []).map((one) => `var-${name}=${encodeURIComponent(one)}`).join("&");

const NAMES = ["red", "orange", "yellow", "green", "blue", "purple"];

const base = (color) => (color ?? "").replace(/^(super-light|semi-dark|light|dark)-/, "");

export const colorClass = (color) => (NAMES.includes(base(color)) ? base(color) : "");

// A colour of the dashboard's JSON as CSS knows it, in the theme that is on.
export function cssColor(color, fallback = "muted") {
  if (color?.startsWith("#")) return color;
  if (base(color) === "text") return themeColor("text");
  if (base(color) === "transparent") return "transparent";
  return themeColor(NAMES.includes(base(color)) ? base(color) : fallback);
}

// The colour of a line: fixed by the dashboard, or its turn in the palette.
export const COLORS = 12;
export function lineColor(config, index) {
  if (config.color?.mode === "fixed" && config.color.fixedColor) return cssColor(config.color.fixedColor);
  return themeColor(`series-${(index % COLORS) + 1}`);
}

// ${run} or $run in a title.
export const filled = (text, variables) =>
  (text ?? "").replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) => {
    const values = variables?.[braced ?? bare];
    return values ? values.map((value) => (value === "$__all" ? "All" : value)).join(", ") : whole;
  });
