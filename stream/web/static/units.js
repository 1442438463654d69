// Numbers and times as text, by Grafana's unit ids.

import { clock, day } from "./ranges.js";

function digits(value) {
  const size = Math.abs(value);
  if (size === 0 || (Number.isInteger(value) && size < 1e6)) return String(value);
  if (size >= 1e6 || size < 1e-3)
    return value
      .toExponential(2)
      .replace(/\.?0+e/, "e")
      .replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

function scaled(value, steps, base, space = " ") {
  let index = 0;
  while (Math.abs(value) >= base && index < steps.length - 1) {
    value /= base;
    index += 1;
  }
  const suffix = steps[index];
  return `${digits(Number(value.toPrecision(4)))}${suffix ? space + suffix : ""}`;
}

function seconds(value) {
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-3) return `${digits(value * 1e6)} µs`;
  if (size < 1) return `${digits(value * 1e3)} ms`;
  if (size < 120) return `${digits(value)} s`;
  if (size < 7200) return `${digits(value / 60)} min`;
  if (size < 172800) return `${digits(value / 3600)} h`;
  return `${digits(value / 86400)} d`;
}

export function ago(ms, now = Date.now()) {
  const past = (now - ms) / 1000;
  if (Math.abs(past) < 1.5) return "now";
  const text = (size, unit) => `${Math.round(size)} ${unit}`;
  const size = Math.abs(past);
  const amount =
    size < 100
      ? text(size, "s")
      : size < 5400
        ? text(size / 60, "min")
        : size < 129600
          ? text(size / 3600, "h")
          : text(size / 86400, "d");
  return past > 0 ? `${amount} ago` : `in ${amount}`;
}

const FORMATS = {
  s: seconds,
  ms: (value) => seconds(value / 1000),
  percentunit: (value) => `${digits(Number((value * 100).toPrecision(3)))} %`,
  percent: (value) => `${digits(Number(value.toPrecision(3)))} %`,
  bytes: (value) => scaled(value, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 1024),
  decbytes: (value) => scaled(value, ["B", "kB", "MB", "GB", "TB", "PB"], 1000),
  short: (value) => scaled(value, ["", "K", "M", "G", "T"], 1000, ""),
  sci: (value) =>
    value === 0
      ? "0"
      : value
          .toExponential(2)
          .replace(/\.?0+e/, "e")
          .replace("e+", "e"),
  celsius: (value) => `${digits(value)} °C`,
  locale: (value) => value.toLocaleString("en"),
  min: (value) => seconds(value * 60),
  m: (value) => seconds(value * 60),
  h: (value) => seconds(value * 3600),
  d: (value) => seconds(value * 86400),
  dtdurations: seconds,
  dtdurationms: (value) => seconds(value / 1000),
  ns: (value) => seconds(value / 1e9),
  "µs": (value) => seconds(value / 1e6),
  Bps: (value) => `${scaled(value, ["B", "kB", "MB", "GB", "TB"], 1000)}/s`,
  binBps: (value) => `${scaled(value, ["B", "KiB", "MiB", "GiB", "TiB"], 1024)}/s`,
  ops: (value) => `${scaled(value, ["", "K", "M", "G"], 1000, "")}/s`,
  reqps: (value) => `${scaled(value, ["", "K", "M", "G"], 1000, "")}/s`,
  rowsps: (value) => `${scaled(value, ["", "K", "M", "G"], 1000, "")} rows/s`,
  cps: (value) => `${scaled(value, ["", "K", "M", "G"], 1000, "")}/s`,
  rotmhz: (value) => scaled(value, ["MHz", "GHz"], 1000),
  hertz: (value) => scaled(value, ["Hz", "kHz", "MHz", "GHz"], 1000),
  flops: (value) => scaled(value, ["FLOP/s", "kFLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"], 1000),
  joule: (value) => scaled(value, ["J", "kJ", "MJ", "GJ"], 1000),
  watth: (value) => scaled(value, ["Wh", "kWh", "MWh"], 1000),
  dateTimeAsLocal: (value) => `${day(value)} ${clock(value)}`,
  dateTimeAsUS: (value) => `${day(value)} ${clock(value)}`,
  watt: (value) => `${digits(value)} W`,
  dateTimeFromNow: (value) => ago(value),
  dateTimeAsIso: (value) => `${day(value)} ${clock(value)}`,
};

// A value of a field: not finite numbers come as words, null as nothing.
export function show(value, unit = "none", decimals = null) {
  if (value == null) return "";
  if (typeof value !== "number") return String(value);
  if (decimals != null && (unit === "none" || unit === "short") && Math.abs(value) < 1e6)
    return value.toFixed(decimals);
  if (Object.hasOwn(FORMATS, unit)) return FORMATS[unit](value);
  const [kind, ...rest] = unit.split(":"); // Grafana's own: suffix:/s, prefix:$
  const own = rest.join(":");
  if (kind === "suffix") return `${digits(value)}${own}`;
  return kind === "prefix" ? `${own}${digits(value)}` : digits(value);
}
