// Tables: units, colours of words, links; a click on a head sorts.

import { element } from "../dom.js";
import { colorClass, configOf, linkOf, look } from "../fields.js";
import { fromLink } from "../route.js";
import { show } from "../units.js";

const WIDE = 60;

export class Table {
  constructor(body, panel) {
    this.panel = panel;
    this.sort = null;
    this.head = element("thead");
    this.rows = element("tbody");
    body.append(element("div", { class: "scroll" }, element("table", {}, this.head, this.rows)));
  }

  isEmpty(frame) {
    return !frame.fields[0]?.values.length;
  }

  update(frame) {
    this.frame = frame;
    const columns = frame.fields.map((field) => ({ ...field, config: configOf(this.panel, field.name) }));
    this.head.replaceChildren(element("tr", {}, ...columns.map((column) => this.headCell(column))));
    this.rows.replaceChildren(
      ...this.order(columns).map((row) =>
        element("tr", {}, ...columns.map((column) => this.cell(column, row, columns))),
      ),
    );
  }

  headCell({ name, kind }) {
    const direction = this.sort?.name === name ? (this.sort.down ? "descending" : "ascending") : null;
    return element(
      "th",
      { scope: "col", class: kind, "aria-sort": direction, onclick: () => this.sortBy(name) },
      name,
    );
  }

  sortBy(name) {
    this.sort =
      this.sort?.name !== name ? { name, down: true } : this.sort.down ? { name, down: false } : null;
    this.update(this.frame);
  }

  order(columns) {
    const indexes = columns[0]?.values.map((_, index) => index) ?? [];
    const values = columns.find(({ name }) => name === this.sort?.name)?.values;
    if (!values) return indexes;
    const sign = this.sort.down ? -1 : 1;
    const compare = (a, b) => (a == null ? 1 : b == null ? -1 : sign * (a < b ? -1 : a > b ? 1 : 0));
    return indexes.sort((a, b) => compare(values[a], values[b]));
  }

  cell({ kind, values, config }, row, columns) {
    const value = values[row];
    const { text, color } = look(config, value);
    const shown =
      text ??
      show(value, config.unit === "none" && kind === "time" ? "dateTimeAsIso" : config.unit, config.decimals);
    const url = linkOf(
      config,
      Object.fromEntries(columns.map((column) => [column.name, column.values[row]])),
    );
    const named = config.custom.cellOptions?.type === "color-text" && color && shown;
    const content =
      url && shown
        ? element("a", { href: fromLink(url) }, shown)
        : named
          ? element("span", { class: `pill ${colorClass(color)}` }, shown)
          : shown;
    const title = kind === "time" && value != null ? show(value, "dateTimeAsIso") : shown;
    return element("td", { class: `${kind} ${shown.length > WIDE ? "wide" : ""}`, title }, content);
  }
}
