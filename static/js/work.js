// Tasks in their rows (data-work): what an action asks for opens within the row ([data-work-act]), its first control
// has the focus; Escape and Cancel close it. Lists and counts ask anew when something was done (data-work-follow).
import { mark } from "./rows.js";

const DOUBLE_CLICK = 500; // milliseconds
let opener = null;
let actedAt = -DOUBLE_CLICK;

const close = (box, back) => {
  box.replaceChildren();
  if (back && opener?.isConnected) (opener.checkVisibility() ? opener : box.closest("[data-work]").querySelector("summary"))?.focus();
};

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail;
  // A form that somebody is filling in is not asked away from under him.
  if (elt.matches("[data-work-follow]") && document.querySelector("[data-work-form]")) event.preventDefault();
  if (elt.closest("[data-row]")) mark(elt.closest("[data-row]"));
  if (elt.closest("[data-work]") && requestConfig.verb === "get") opener = elt;
});
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.matches?.("[data-work]")) actedAt = performance.now();
});

document.addEventListener("htmx:afterSettle", (event) => {
  const box = event.detail.target;
  if (!box.matches?.("[data-work-act]")) return;
  for (const other of document.querySelectorAll("[data-work-act]")) if (other !== box) close(other);
  box.closest("[data-swipe]")?.classList.remove("swiped");
  const wrong = box.querySelector(".has-error :is(input, select, textarea)");
  (wrong ?? box.querySelector("button, select, input:not([type=hidden]), textarea"))?.focus();
  box.scrollIntoView({ block: "nearest" });
});

document.addEventListener("keydown", (event) => {
  const box = event.key === "Escape" && event.target.closest("[data-work-act]");
  if (box) close(box, true);
});

// The row is gone after the first click of a double click: the second one lands on the next row's button.
document.addEventListener("click", (event) => {
  const isPointer = event.detail > 0;
  if (isPointer && performance.now() - actedAt < DOUBLE_CLICK && event.target.closest("[data-work] :is(a, button)")) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  const closer = event.target.closest("[data-work-close]");
  if (closer) close(closer.closest("[data-work-act]"), true);
}, true);
