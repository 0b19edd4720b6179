// Short messages. The server sends HX-Trigger: {"toast": {"text": "…", "undo": "/address/"}}; with an address the
// message offers to take the action back for ten seconds (one POST).
const SHOWN_MS = 6000;
const UNDO_MS = 10000;

const holder = () => document.querySelector("[data-toasts]");
const dismissLater = (toast, after) => setTimeout(() => toast.remove(), after);

export const toast = (text, { undo } = {}) => {
  const box = holder();
  if (!box || !text) return;
  // Three slow panels say the same thing once.
  if (!undo) for (const other of [...box.children]) if (other.textContent === text) other.remove();
  const element = document.createElement("div");
  element.className = "toast";
  element.dataset.toast = "";
  const words = document.createElement("span");
  words.className = "toast-text";
  words.textContent = text;
  element.append(words);
  if (undo) {
    const button = document.createElement("button");
    button.className = "btn";
    button.type = "button";
    button.textContent = box.dataset.undoLabel;
    button.addEventListener("click", () => {
      element.remove();
      htmx.ajax("POST", undo, { swap: "none" });
    });
    element.append(button);
  }
  box.append(element);
  dismissLater(element, undo ? UNDO_MS : SHOWN_MS);
};

document.addEventListener("toast", (event) => toast(event.detail.text, event.detail));
document.addEventListener("click", (event) => event.target.closest("[data-toast-close]")?.closest("[data-toast]").remove());
for (const element of document.querySelectorAll("[data-toast]")) dismissLater(element, SHOWN_MS);
