// Time ranges: what can be chosen, how it is called, and which milliseconds it means now.

export const PRESETS = [
  ["run", "now", "Whole run"],
  ["now-5m", "now", "Last 5 minutes"],
  ["now-15m", "now", "Last 15 minutes"],
  ["now-1h", "now", "Last hour"],
  ["now-6h", "now", "Last 6 hours"],
  ["now-24h", "now", "Last 24 hours"],
  ["now-7d", "now", "Last 7 days"],
  ["now-30d", "now", "Last 30 days"],
];

const UNITS = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
// A run not heard of for so long is drawn to its end instead of to the present.
const QUIET_MS = 30_000;

function moment(text, now) {
  const relative = /^now(?:-(\d+)([smhdw]))?$/.exec(text);
  if (relative) return now - (relative[1] ? Number(relative[1]) * UNITS[relative[2]] : 0);
  return /^\d+$/.test(text) ? Number(text) : now;
}

function wholeRun(span, now) {
  if (!span) return { from: now - 36e5, to: now };
  const pad = Math.max((span.last - span.started) * 0.02, 500);
  const to = now - span.last < QUIET_MS && span.last <= now + QUIET_MS ? now : span.last + pad;
  return { from: Math.floor(span.started - pad), to: Math.ceil(Math.max(to, span.started + 1000)) };
}

export function resolve(from, to, span, now = Date.now()) {
  if (from === "run") return wholeRun(span, now);
  const range = { from: Math.floor(moment(from, now)), to: Math.ceil(moment(to, now)) };
  return range.from < range.to ? range : { from: range.to - 1000, to: range.to };
}

// "100-500" of the address as a range of steps, else null.
export function steps(text) {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text ?? "");
  const [from, to] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  return from < to ? { from, to } : null;
}

export const isFixed = (from, to) => /^\d+$/.test(from) && /^\d+$/.test(to);

export function label(from, to) {
  const preset = PRESETS.find(([start, end]) => start === from && end === to);
  if (preset) return preset[2];
  if (!isFixed(from, to)) return `${from} to ${to}`;
  return `${clock(Number(from))} to ${clock(Number(to))}`;
}

const two = (number) => String(number).padStart(2, "0");

export function day(ms) {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function clock(ms, digits = 0) {
  const date = new Date(ms);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return digits
    ? `${text}.${String(Math.floor(ms % 1000))
        .padStart(3, "0")
        .slice(0, digits)}`
    : text;
}
