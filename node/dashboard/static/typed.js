// A change that cannot be taken back is made by typing a name, not by one click.

import { find, h } from "./dom.js";

/** Asks for `name` to be typed; then runs `act` and shows what it says, or the refusal, and calls `done`. */
export function typed({ heading, consequence, name, verb, act, done }) {
  const field = h("input", { id: "typed", autocomplete: "off", required: true, "aria-label": `Type ${name} to go on` });
  const go = h("button", { disabled: true }, verb);
  const said = h("p", { role: "status" });
  const dialog = find("#help");
  field.addEventListener("input", () => { go.disabled = field.value !== name; });
  const form = h("form", { class: "typed", onsubmit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      said.textContent = await act() ?? "Done.";
      field.disabled = true;
      done();
    } catch (error) {
      said.textContent = error.message;
      go.disabled = false;
    }
  } }, h("h2", { id: "help-title" }, heading), h("p", {}, consequence), h("p", {}, "Type ", h("strong", {}, h("bdi", {}, name)), " to go on."), field,
  h("div", { class: "controls" }, go, h("button", { type: "button", onclick: () => dialog.close() }, "Close")), said);
  dialog.replaceChildren(form);
  dialog.showModal();
  field.focus();
}
