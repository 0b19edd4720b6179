// The keyboard: j k ↵ x d in lists, c and t for the customer, / and Ctrl-K to search, ? for help.
// A page offers an action by data-key="c" on its link or button; next and previous customer or case by data-key="j", "k".
import { openDialog } from "./dialogs.js";
import { currentRow, rows, step, toggle } from "./rows.js";
import { openSearch } from "./search.js";

const typing = (element) =>
  element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;

const press = (key) => {
  const offered = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  offered?.click();
  return Boolean(offered);
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    if (openSearch()) event.preventDefault();
    return;
  }
  // At the counter the search has the focus already: the key that opens it elsewhere writes nothing there.
  if (event.key === "/" && event.target.matches("input[type=search]") && !event.target.value) {
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase();
  const row = currentRow();
  let done = true;
  if (key === "/") done = openSearch();
  else if (event.key === "?") openDialog(document.getElementById("keys-dialog"));
  else if (key === "j" && rows().length) step(1);
  else if (key === "k" && rows().length) step(-1);
  else if (key === "x" && row) toggle(row);
  else if (key === "d" && row) event.repeat || row.querySelector("[data-row-done]")?.click();
  else if (key === "enter" && row && event.target === document.body) row.querySelector("[data-row-open]")?.click();
  else if (/^[a-z]$/.test(key)) done = press(key);
  else done = false;
  if (done) event.preventDefault();
});
