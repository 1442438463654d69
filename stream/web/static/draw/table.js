// Tables: units, colours of words, bars in cells, links; a click on a head sorts.

import { element, named } from "../dom.js";
import { colorClass, configOf, cssColor, linkOf, look } from "../fields.js";
import { highest } from "../reduce.js";
import { fromLink } from "../route.js";
import { show } from "../units.js";
import * as whole from "../whole.js";

const WIDE = 60;

export class Table {
  constructor(body, panel, page) {
    this.panel = panel;
    this.page = page;
    this.sort = null;
    this.head = element("thead");
    this.rows = element("tbody");
    body.append(element("div", { class: "scroll" }, element("table", {}, this.head, this.rows)));
  }

  isEmpty(frame) {
    return !frame.fields[0]?.values.length;
  }

  update(frame, view) {
    if (frame === this.frame && !this.sorted) return;
    this.sorted = false;
    this.frame = frame;
    this.view = view;
    const columns = frame.fields
      .map((field) => ({ ...field, config: configOf(this.panel, field.name, field.kind) }))
      .filter(({ config }) => !config.custom.hidden && !config.custom.hideFrom?.viz);
    this.cut = new Map((frame.cut ?? []).map(([field, row, size, digest]) => [`${row} ${field}`, { size, digest }]));
    this.head.replaceChildren(element("tr", {}, ...columns.map((column) => this.headCell(column))));
    this.rows.replaceChildren(
      ...this.order(columns).map((row) =>
        element("tr", {}, ...columns.map((column) => this.cell(column, row))),
      ),
    );
  }

  headCell({ name, kind, config }) {
    const direction = this.sort?.name === name ? (this.sort.down ? "descending" : "ascending") : null;
    const title = config.displayName?.includes("$") ? name : (config.displayName ?? name);
    const node = element(
      "th",
      { scope: "col", class: kind, "aria-sort": direction, onclick: () => this.sortBy(name) },
      named(title),
    );
    if (config.custom.width) node.style.width = `${config.custom.width}px`;
    return node;
  }

  sortBy(name) {
    this.sort =
      this.sort?.name !== name ? { name, down: true } : this.sort.down ? { name, down: false } : null;
    this.sorted = true;
    this.update(this.frame, this.view);
  }

  order(columns) {
    const indexes = columns[0]?.values.map((_, index) => index) ?? [];
    const values = columns.find(({ name }) => name === this.sort?.name)?.values;
    if (!values) return indexes;
    const sign = this.sort.down ? -1 : 1;
    const compare = (a, b) => (a == null ? 1 : b == null ? -1 : sign * (a < b ? -1 : a > b ? 1 : 0));
    return indexes.sort((a, b) => compare(values[a], values[b]));
  }

  cell(column, row) {
    const { name, kind, values, config } = column;
    const value = values[row];
    const { text, color } = look(config, value);
    const shown =
      text ??
      show(value, (config.unit ?? "none") === "none" && kind === "time" ? "dateTimeAsIso" : config.unit, config.decimals);
    const style = config.custom.cellOptions?.type ?? "auto";
    const title = kind === "time" && value != null ? show(value, "dateTimeAsIso") : shown;
    const node = element(
      "td",
      { class: `${kind} ${shown.length > WIDE ? "wide" : ""}`, title: title.slice(0, 1000) },
      this.content(column, row, shown, color, style),
    );
    if (style === "color-background" && color && shown) {
      node.classList.add("filled");
      node.style.setProperty("--fill", cssColor(color));
    }
    const rest = this.cut.get(`${row} ${name}`);
    if (rest) {
      node.classList.add("cut");
      node.append(this.more(name, rest, shown));
    }
    return node;
  }

  content({ values, config }, row, shown, color, style) {
    const url = shown && linkOf(config, this.rowOf(row), values[row], this.view);
    const href = url && fromLink(url);
    if (href) return element("a", { href }, named(shown));
    if (style === "color-text" && color && shown) return element("span", { class: `pill ${colorClass(color)}` }, named(shown));
    if (style === "gauge" && typeof values[row] === "number") return gauge(config, values, values[row], shown, color);
    return named(shown);
  }

  rowOf(row) {
    return Object.fromEntries(this.frame.fields.map(({ name, values }) => [name, values[row]]));
  }

  more(field, { size, digest }, begin) {
    const ask = () => whole.show(this.page, this.panel, { field, digest, size, begin });
    return element("button", { type: "button", class: "more", onclick: ask }, `… all ${size.toLocaleString("en")}`);
  }

  restyle() {
    this.sorted = true;
    if (this.frame) this.update(this.frame, this.view);
  }
}

function gauge(config, values, value, shown, color) {
  const high = config.max ?? highest(values.filter((one) => typeof one === "number")) ?? 1;
  const low = config.min ?? 0;
  const fill = element("i");
  fill.style.width = `${100 * Math.min(1, Math.max(0, (value - low) / (high - low || 1)))}%`;
  fill.style.background = color && color !== "text" ? cssColor(color) : cssColor("blue");
  return element("span", { class: "in-cell" }, element("span", { class: "track" }, fill), element("b", {}, shown));
}
