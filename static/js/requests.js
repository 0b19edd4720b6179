// What happens around every htmx request: the thin bar, a word after three seconds, and honest errors.
// A panel (.card) keeps its old figures at 60 % while it is asked again.
import { toast } from "./toasts.js";
import { word } from "./words.js";

const line = document.querySelector("[data-load-line]");
const waiting = new Map();

const show = () => line && (line.hidden = waiting.size === 0);

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, requestConfig, xhr } = event.detail;
  const quiet = elt.closest(".progress-box") || requestConfig.headers["X-Quiet"];
  if (quiet) return;
  const panel = event.detail.target.closest(".card, .list-page");
  // A first load shows blank blocks already, and a row that is being done goes by itself.
  const dimmed = panel && !panel.querySelector(".blank") && !elt.closest("[data-row]") ? panel : null;
  dimmed?.classList.add("is-loading");
  waiting.set(xhr, { dimmed, word: setTimeout(() => toast(word("slow")), 3000) });
  show();
});

document.addEventListener("htmx:afterRequest", (event) => {
  const { dimmed, word: timer } = waiting.get(event.detail.xhr) ?? {};
  dimmed?.classList.remove("is-loading");
  clearTimeout(timer);
  waiting.delete(event.detail.xhr);
  show();
});

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  toast(status === 403 || status === 404 ? word("refused") : word("failed"));
});
document.addEventListener("htmx:sendError", () => toast(word("offline")));
