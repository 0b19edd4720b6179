// <dialog> by attributes: data-dialog-open="id" opens, data-dialog-close closes, a click beside it closes.
// data-confirm="question" (data-confirm-title, data-confirm-yes) asks before a form is sent or htmx asks the server.
// A response loaded into an element inside a closed dialog with data-dialog-auto opens it, at its first field.
// The second click of a double click lands beside the dialog that the first one has opened, and must not close it.
const DOUBLE_CLICK = 500; // milliseconds
let openedAt = 0;

export const openDialog = (dialog) => {
  if (!dialog || dialog.open) return;
  openedAt = performance.now();
  dialog.showModal();
};

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) {
    event.preventDefault();
    openDialog(document.getElementById(opener.dataset.dialogOpen));
    return;
  }
  const closer = event.target.closest("[data-dialog-close]");
  if (closer) closer.closest("dialog")?.close();
  else if (event.target instanceof HTMLDialogElement && event.target.open && performance.now() - openedAt > DOUBLE_CLICK) event.target.close();
  if (event.target.closest("[data-print]")) window.print();
});

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.detail.target.closest("dialog[data-dialog-auto]");
  if (!dialog || !event.detail.target.childElementCount) return;
  const begins = !dialog.open;
  openDialog(dialog);
  if (begins) dialog.querySelector("input:not([type=hidden]), select, textarea")?.focus();
});

// The answer's word is that of the button pressed: a form may hold more text than its button.
const ask = (element, button = element) =>
  new Promise((resolve) => {
    const dialog = document.getElementById("confirm-dialog");
    const { confirm, confirmTitle, confirmYes } = element.dataset;
    dialog.querySelector("[data-confirm-title]").textContent = confirmTitle ?? button.textContent.trim();
    dialog.querySelector("[data-confirm-text]").textContent = confirm;
    dialog.querySelector("[data-confirm-yes]").textContent = confirmYes ?? button.textContent.trim();
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    openDialog(dialog);
  });

document.addEventListener("submit", async (event) => {
  const asked = event.submitter?.closest("[data-confirm]") ?? event.target.closest("form[data-confirm]");
  if (!asked || asked.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { target, submitter } = event;
  if (!(await ask(asked, submitter ?? asked))) return;
  if (!target.isConnected) {
    // A page that refreshes itself has put a new copy of the form in its place meanwhile; gone: too late.
    const copy = document.querySelector(`form[action="${CSS.escape(target.getAttribute("action") ?? "")}"]`);
    if (copy) copy.submit();
    return;
  }
  asked.dataset.confirmed = "yes";
  target.requestSubmit(submitter);
  delete asked.dataset.confirmed;
}, true);

document.addEventListener("htmx:confirm", (event) => {
  const element = event.detail.elt;
  if (element.matches("form") || !element.dataset.confirm) return;
  event.preventDefault();
  ask(element).then((agreed) => agreed && event.detail.issueRequest(true));
});
