// The address of a view: #/d/<dashboard>?var-run=...&from=...&to=...  (Grafana's form, behind a hash).

export const FLEET = "trainwarden-fleet";
export const RUN = "trainwarden-run";
export const INCIDENTS = "trainwarden-incidents";

// Beside range and variables; each is absent while it says what the dashboard says.
const SETTINGS = ["scale", "smooth", "steps", "viewPanel", "search", "level", "incident"];

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const board = path.match(/^\/d\/([^/]+)/)?.[1] ?? FLEET;
  const uid = path === "/incidents" ? INCIDENTS : decode(board);
  const route = { uid, from: null, to: null, variables: {}, settings: {} };
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === "from" || name === "to") route[name] = value;
    else if (name.startsWith("var-")) (route.variables[name.slice(4)] ??= []).push(value);
    else if (SETTINGS.includes(name)) route.settings[name] = value;
  }
  return route;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a percent sign of nobody's
  }
}

export function format({ uid, variables = {}, from, to, settings = {} }) {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(variables)) {
    for (const value of values) query.append(`var-${name}`, value);
  }
  if (from) query.set("from", from);
  if (to) query.set("to", to);
  for (const name of SETTINGS) if (settings[name]) query.set(name, settings[name]);
  const text = query.toString();
  return `#/d/${encodeURIComponent(uid)}${text ? `?${text}` : ""}`;
}

export const current = () => parse(location.hash);

// `replace`: correct the address without a step in the browser's history.
export function go(route, { replace = false } = {}) {
  const hash = format(route);
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else location.hash = hash;
}

// A link of the dashboard's JSON (/d/uid?...) as an address of ours; others only where they are web pages.
export function fromLink(url) {
  if (url.startsWith("/d/")) return `#${url}`;
  return /^https?:\/\//.test(url) ? url : null;
}
