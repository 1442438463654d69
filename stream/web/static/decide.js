// Asks the person once more before anything is signed.

import { byId, element, named } from "./dom.js";

// The reason, maybe empty; null where the person turned back.
export function ask(held, verdict, author) {
  const dialog = byId("decide");
  const rejects = verdict === "reject";
  const reason = element("textarea", {
    rows: "2",
    name: "reason",
    required: rejects,
    placeholder: rejects ? "Why (needed)" : "Why (optional)",
    "aria-label": "Why",
  });
  return new Promise((resolve) => {
    const settle = (value) => {
      dialog.onclose = null;
      dialog.close();
      resolve(value);
    };
    const confirm = () => (reason.reportValidity() ? settle(reason.value) : null);
    dialog.onclose = () => resolve(null);
    dialog.replaceChildren(
      element("h2", {}, `${rejects ? "Reject" : "Approve"} ${held.action} of `, named(held.run_name ?? held.run), "?"),
      element("p", { class: "summary" }, named(held.summary ?? "")),
      reason,
      element("p", { class: "note" }, `Signed as ${author}.`),
      element(
        "div",
        { class: "buttons" },
        element("button", { type: "button", class: verdict, onclick: confirm }, rejects ? "Reject it" : "Let it go out"),
        element("button", { type: "button", onclick: () => settle(null) }, "Cancel"),
      ),
    );
    dialog.showModal();
    reason.focus();
  });
}
