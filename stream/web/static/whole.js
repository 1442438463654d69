// The whole of a text that was cut, in a dialog.

import * as api from "./api.js";
import { byId, element } from "./dom.js";

export async function show(page, panel, { field, digest, size, begin }) {
  const dialog = byId("whole");
  const text = element("pre", { tabindex: "0" }, begin);
  const note = element("p", { class: "note", role: "status" }, "Loading ...");
  const close = () => dialog.close();
  dialog.replaceChildren(
    element("header", {}, element("h2", {}, `${field}, ${size.toLocaleString("en")} characters`), element("button", { type: "button", onclick: close }, "Close")),
    note,
    text,
  );
  dialog.onclick = (event) => event.target === dialog && close();
  dialog.showModal();
  try {
    text.replaceChildren(element("span", {}, await api.text(page.route.uid, panel, field, digest, page.view)));
    note.textContent = "";
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    note.textContent = error.message;
  }
}
