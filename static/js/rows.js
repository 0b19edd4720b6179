// Rows of a list or worklist: the current one (keyboard), the selected ones (checkboxes) and the bulk bar.
import { word } from "./words.js";

const shown = (row) => row.offsetParent !== null;
export const rows = () => [...document.querySelectorAll("[data-row]")].filter(shown);
export const currentRow = () => document.querySelector("[data-row].current");

export const mark = (row) => {
  currentRow()?.classList.remove("current");
  row?.classList.add("current");
};

export const makeCurrent = (row) => {
  if (!row) return;
  mark(row);
  row.querySelector("[data-row-open]")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
};

export const step = (by) => {
  const all = rows();
  const at = all.indexOf(currentRow());
  makeCurrent(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]);
};

const boxes = (form) => [...form.querySelectorAll('[data-row] input[type="checkbox"]')];

const paint = (form) => {
  const all = boxes(form);
  const chosen = all.filter((box) => box.checked);
  for (const box of all) box.closest("[data-row]").classList.toggle("selected", box.checked);
  const bar = form.querySelector("[data-bulk-bar]");
  if (bar) {
    bar.hidden = chosen.length === 0;
    bar.querySelector("[data-selected-count]").textContent = word("selected").replace("{n}", chosen.length);
  }
  const whole = form.querySelector("[data-select-all]");
  if (whole) {
    whole.checked = all.length > 0 && chosen.length === all.length;
    whole.indeterminate = chosen.length > 0 && !whole.checked;
  }
};

export const toggle = (row) => {
  const box = row?.querySelector('input[type="checkbox"]');
  if (!box) return;
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change", { bubbles: true }));
};

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-rows]");
  if (!form) return;
  if (event.target.matches("[data-select-all]")) {
    for (const box of boxes(form)) box.checked = event.target.checked;
  }
  paint(form);
});

document.addEventListener("click", (event) => {
  const none = event.target.closest("[data-select-none]");
  if (none) {
    const form = none.closest("form[data-rows]");
    for (const box of boxes(form)) box.checked = false;
    paint(form);
    return;
  }
  const row = event.target.closest("[data-row]");
  if (row && !event.target.closest("a, button, input, label, summary, details")) {
    mark(row);
  }
});

// Where the current row of the worklist stands: when it is done, the one that takes its place is next, and where the
// focus stood in the worklist it stays there.
let place = 0;
let isHeld = false;
document.addEventListener("htmx:beforeSwap", (event) => {
  const at = rows().indexOf(currentRow());
  if (at >= 0) place = at;
  isHeld ||= event.detail.target.contains(document.activeElement) && Boolean(document.activeElement.closest(".worklist"));
});

const repaint = (event) => {
  document.querySelectorAll("form[data-rows]").forEach(paint);
  const listed = rows().filter((row) => row.closest(".worklist"));
  const isAnew = event?.detail.requestConfig?.elt.matches?.("[data-work-follow]");
  if (currentRow() && !isAnew) return;
  const next = listed[Math.min(place, listed.length - 1)];
  mark(next);
  if (isHeld && document.activeElement === document.body) next?.querySelector("[data-row-open]")?.focus({ preventScroll: true });
  if (isAnew) isHeld = false;
};

document.addEventListener("htmx:afterSettle", repaint);
// A row that is gone settles nowhere: its events end at its list.
document.addEventListener("htmx:afterRequest", () => setTimeout(repaint, 50));
repaint();
