// Talks to our server. What did not change since the last time comes back as 304 and costs a header.

const answers = new Map();
const KEPT = 400;

export const stats = { requests: 0, bytes: 0, unchanged: 0 };

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function address(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) query.append(name, one);
  }
  return `${path}?${query}`;
}

// `key` names the answer among earlier ones, whatever the time range of the request.
// An answer that stopped on its way, or that nobody waits for any more (`signal`), is not kept.
async function get(path, parameters = {}, key = path, signal = undefined) {
  const known = answers.get(key);
  const headers = known ? { "If-None-Match": known.tag } : {};
  let response;
  try {
    response = await fetch(address(path, parameters), { headers, cache: "no-store", signal });
  } catch {
    throw new ApiError("The viewer itself does not answer; was `trainwarden up` or `view` stopped?", 0);
  }
  stats.requests += 1;
  if (response.status === 401) location.reload(); // the page that asks for the token
  if (response.status === 304) {
    stats.unchanged += 1;
    return known.data;
  }
  stats.bytes += Number(response.headers.get("Content-Length") ?? 0);
  const data = await response.json().catch(() => undefined);
  if (!response.ok) throw new ApiError(data?.error ?? `HTTP ${response.status}`, response.status);
  if (data === undefined) throw new ApiError("The viewer's answer stopped on its way", 0);
  answers.delete(key);
  answers.set(key, { tag: response.headers.get("ETag"), data });
  if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  return data;
}

function asked(view) {
  const parameters = { from: view.from, to: view.to };
  for (const [name, values] of Object.entries(view.variables)) parameters[`var-${name}`] = values;
  return parameters;
}

export const dashboards = () => get("/api/dashboards");
export const dashboard = (uid) => get(`/api/dashboards/${encodeURIComponent(uid)}`);
export const span = (run) => get("/api/span", { run }, `span ${run}`);

// `more`: what the panel asks for beside range and variables.
export function panel(uid, id, ref, points, view, more = {}, signal = undefined) {
  const key = `panel ${uid} ${id} ${ref} ${JSON.stringify([view.variables, more])}`;
  return get("/api/query", { dashboard: uid, panel: id, ref, points, ...more, ...asked(view) }, key, signal);
}

// The whole of a text that was cut.
export function text(uid, { id, targets }, field, digest, view) {
  const parameters = { dashboard: uid, panel: id, ref: targets[0].refId, field, digest, ...asked(view) };
  return get("/api/text", parameters, `text ${digest}`);
}

// The one thing that the page changes; its header is what no other site can send.
export async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Trainwarden": "decide" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new ApiError("The viewer itself does not answer; was `trainwarden up` or `view` stopped?", 0);
  }
  const data = await response.json().catch(() => ({ error: `HTTP ${response.status}` }));
  if (!response.ok) throw new ApiError(data?.error ?? `HTTP ${response.status}`, response.status);
  return data;
}

export const incidents = () => get("/api/incidents");
export const waiting = () => get("/api/waiting");
export const story = (id) => get("/api/story", { id }, `story ${id}`);
export const decide = (command, verdict, reason) => post("/api/decide", { command, verdict, reason });

export const variables = (uid, view) =>
  get("/api/variables", { dashboard: uid, ...asked(view) }, `variables ${uid}`);
export const annotations = (uid, view) =>
  get("/api/annotations", { dashboard: uid, ...asked(view) }, `annotations ${uid}`);
