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
  waiting.set(xhr, setTimeout(() => toast(word("slow")), 3000));
  show();
});

document.addEventListener("htmx:afterRequest", (event) => {
  clearTimeout(waiting.get(event.detail.xhr));
  waiting.delete(event.detail.xhr);
  show();
});

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  toast(status === 403 || status === 404 ? word("refused") : word("failed"));
});
document.addEventListener("htmx:sendError", () => toast(word("offline")));
