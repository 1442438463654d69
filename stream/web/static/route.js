// The address of a view: #/d/<dashboard>?var-run=...&from=...&to=...  (Grafana's form, behind a hash).

export const FLEET = "trainwarden-fleet";
export const RUN = "trainwarden-run";
export const INCIDENTS = "incidents";

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const board = path.match(/^\/d\/([^/]+)/)?.[1] ?? FLEET;
  const uid = path === `/${INCIDENTS}` ? INCIDENTS : decodeURIComponent(board);
  const route = { uid, from: null, to: null, variables: {} };
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === "from" || name === "to") route[name] = value;
    else if (name.startsWith("var-")) (route.variables[name.slice(4)] ??= []).push(value);
  }
  return route;
}

export function format(route) {
  if (route.uid === INCIDENTS) return `#/${INCIDENTS}`;
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(route.variables)) {
    for (const value of values) query.append(`var-${name}`, value);
  }
  if (route.from) query.set("from", route.from);
  if (route.to) query.set("to", route.to);
  const text = query.toString();
  return `#/d/${encodeURIComponent(route.uid)}${text ? `?${text}` : ""}`;
}

export const current = () => parse(location.hash);

// `replace`: correct the address without a step in the browser's history.
export function go(route, { replace = false } = {}) {
  const hash = format(route);
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else location.hash = hash;
}

// A link of the dashboard's JSON (/d/uid?...) as an address of ours.
export const fromLink = (url) => (url.startsWith("/d/") ? `#${url}` : url);
