// Grafana's field configuration: defaults, overrides by name, value mappings, thresholds, links.

export function configOf(panel, name) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const config = { ...defaults, custom: { ...defaults.custom } };
  for (const { matcher, properties } of overrides) {
    if (matcher.id !== "byName" || matcher.options !== name) continue;
    for (const { id, value } of properties) {
      if (id.startsWith("custom.")) config.custom[id.slice(7)] = value;
      else config[id] = value;
    }
  }
  return config;
}

// Text and colour that a value mapping gives a value, if any does.
function mapped(config, value) {
  for (const mapping of config.mappings ?? []) {
    const result = mapping.type === "value" ? mapping.options[String(value)] : null;
    if (result) return result;
  }
  return null;
}

function threshold(config, value) {
  let color = null;
  for (const step of config.thresholds?.steps ?? []) {
    if (step.value == null || value >= step.value) color = step.color;
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

export function linkOf(config, row) {
  const url = config.links?.[0]?.url;
  if (!url) return null;
  return url.replace(/\$\{__data\.fields\.([\w ]+?)(?::\w+)?\}/g, (_, name) =>
    encodeURIComponent(row[name] ?? ""),
  );
}

const NAMES = ["red", "yellow", "green", "blue"];

export const colorClass = (color) => (NAMES.includes(color) ? color : "");
