// Many values to one, as Grafana's reducers do: of a stat, a gauge, a legend.

const finite = (values) => values.filter((value) => typeof value === "number");
const present = (values) => values.filter((value) => value != null && value !== "");

const REDUCERS = {
  lastNotNull: (values) => present(values).at(-1),
  last: (values) => values.at(-1),
  firstNotNull: (values) => present(values)[0],
  first: (values) => values[0],
  max: (values) => highest(finite(values)),
  min: (values) => lowest(finite(values)),
  sum: (values) => finite(values).reduce((total, value) => total + value, 0),
  mean: (values) => mean(finite(values)),
  count: (values) => values.length,
};

const mean = (values) => (values.length ? values.reduce((total, value) => total + value, 0) / values.length : null);
export const highest = (values) => values.reduce((best, value) => (value > best ? value : best), values[0]);
export const lowest = (values) => values.reduce((best, value) => (value < best ? value : best), values[0]);

export const reduce = (calculation, values) => (REDUCERS[calculation] ?? REDUCERS.lastNotNull)(values);

// What a stat or a bar gauge shows: { name, value, kind, field } for each of its values.
export function reduced(panel, frame) {
  const options = panel.options?.reduceOptions ?? {};
  const calculation = options.calcs?.[0] ?? "lastNotNull";
  if (frame.series) {
    return frame.series.map(({ name, values }) => ({ name, kind: "number", field: name, value: reduce(calculation, values), values }));
  }
  if (options.values) return byRow(frame.fields, options.limit);
  const wanted = frame.fields.filter(({ kind }) => options.fields === "/.*/" || kind === "number");
  return (wanted.length ? wanted : frame.fields).map(({ name, kind, values }) => ({
    name,
    kind,
    field: name,
    value: reduce(calculation, values),
  }));
}

function byRow(fields, limit = 100) {
  const label = fields.find(({ kind }) => kind === "string");
  const numbers = fields.filter((field) => field.kind === "number");
  return (fields[0]?.values ?? []).slice(0, limit).flatMap((_, row) =>
    numbers.map(({ name, kind, values }) => ({
      name: [label?.values[row], numbers.length > 1 || !label ? name : null].filter((part) => part != null).join(" "),
      kind,
      field: name,
      value: values[row],
    })),
  );
}
