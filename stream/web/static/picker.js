// A drop-down list with a search field: choose one, or several.

import { element, named, plain } from "./dom.js";

const ALL = "$__all";

export class Picker {
  // `choose(values)` is called with the new choice.
  constructor(name, label, choose, { searchable = true } = {}) {
    this.choose = choose;
    this.state = { options: [], current: [], multi: false, includeAll: false };
    this.chosen = element("bdi", { class: "chosen" });
    this.button = element(
      "button",
      { type: "button", "aria-haspopup": "listbox", "aria-expanded": "false", onclick: () => this.toggle() },
      label ? element("span", { class: "label" }, label) : null,
      this.chosen,
    );
    this.search = element("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": `Search ${label || name}`,
      hidden: !searchable,
      oninput: () => this.list(),
    });
    this.items = element("ul", { role: "listbox", "aria-label": label || name });
    this.popup = element("div", { class: "list", hidden: true }, this.search, this.items);
    this.node = element(
      "div",
      { class: "picker", "data-picker": name, onkeydown: (event) => this.key(event) },
      this.button,
      this.popup,
    );
    this.active = 0;
    document.addEventListener("pointerdown", (event) => this.node.contains(event.target) || this.close());
  }

  update(state) {
    this.state = state;
    const names = state.current.map((value) =>
      value === ALL ? "All" : (state.options.find((option) => option.value === value)?.text ?? value),
    );
    this.chosen.textContent = plain(names.join(", ") || "none");
    if (!this.popup.hidden) this.list();
  }

  get options() {
    const wanted = this.search.value.trim().toLowerCase();
    const all = this.state.includeAll ? [{ value: ALL, text: "All" }] : [];
    return [...all, ...this.state.options].filter((option) =>
      `${option.text} ${option.value}`.toLowerCase().includes(wanted),
    );
  }

  list() {
    const options = this.options;
    this.active = Math.min(this.active, Math.max(options.length - 1, 0));
    this.items.replaceChildren(
      ...options.map((option, index) =>
        element(
          "li",
          {
            role: "option",
            class: index === this.active ? "active" : "",
            title: option.value === ALL ? null : option.value,
            "aria-selected": String(this.state.current.includes(option.value)),
            onclick: () => this.pick(option.value),
          },
          named(option.text),
        ),
      ),
    );
    if (!options.length) this.items.append(element("li", { class: "none" }, "nothing found"));
    this.items.children[this.active]?.scrollIntoView({ block: "nearest" });
  }

  pick(value) {
    const { multi, current } = this.state;
    if (!multi || value === ALL) {
      this.close();
      this.choose([value]);
      return;
    }
    const others = current.filter((one) => one !== ALL && one !== value);
    const next = current.includes(value) ? others : [...others, value];
    this.choose(next.length || !this.state.includeAll ? next : [ALL]);
  }

  toggle() {
    if (this.popup.hidden) this.open();
    else this.close();
  }

  open() {
    this.popup.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.search.value = "";
    this.active = Math.max(
      this.options.findIndex((option) => this.state.current.includes(option.value)),
      0,
    );
    this.list();
    if (!this.search.hidden) this.search.focus();
  }

  close() {
    if (this.popup.hidden) return;
    this.popup.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    if (this.node.contains(document.activeElement)) this.button.focus();
  }

  key(event) {
    if (this.popup.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const options = this.options;
    if (step) this.active = (this.active + step + options.length) % Math.max(options.length, 1);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && options[this.active]) this.pick(options[this.active].value);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (!this.popup.hidden) this.list();
  }
}
