// What is typed into <form data-draft="name"> stays in this tab until the form has been sent: through a reload,
// an error or a lost signal. Passwords and files are never kept.
import { toast } from "./toasts.js";
import { word } from "./words.js";

const key = (form) => `draft:${location.pathname}:${form.dataset.draft}`;
const kept = (field) => field.name && !["password", "file", "hidden", "submit"].includes(field.type);

const save = (form) => {
  const values = [...form.elements].filter(kept).map((field) => [
    field.name,
    field.value,
    field.type === "checkbox" || field.type === "radio" ? field.checked : null,
  ]);
  sessionStorage.setItem(key(form), JSON.stringify(values));
};

const restore = (form) => {
  const text = sessionStorage.getItem(key(form));
  if (!text || form.dataset.draftRestored) return;
  form.dataset.draftRestored = "yes";
  let changed = false;
  for (const [name, value, checked] of JSON.parse(text)) {
    const field = [...form.elements].find((other) =>
      other.name === name && (checked === null || other.value === value));
    if (!field) continue;
    if (checked === null ? field.value !== value : field.checked !== checked) changed = true;
    if (checked === null) field.value = value;
    else field.checked = checked;
  }
  if (!changed) return;
  document.dispatchEvent(new CustomEvent("banyan:filled"));
  toast(word("draft"));
  form.dispatchEvent(new Event("input", { bubbles: true })); // a form that saves itself sends it now
};

const restoreAll = () => document.querySelectorAll("form[data-draft]").forEach(restore);

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-draft]");
  if (form) save(form);
});

// Sent by htmx: forgotten once the server has taken it (422 is an answer with errors, not a success), unless more was
// typed while it was on its way.
const underWay = new WeakMap();
document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt.closest("form[data-draft]");
  if (form) underWay.set(event.detail.xhr, sessionStorage.getItem(key(form)));
});
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt.closest("form[data-draft]");
  const { xhr, successful } = event.detail;
  if (!form || !successful || xhr.status === 422) return;
  if (sessionStorage.getItem(key(form)) === underWay.get(xhr)) sessionStorage.removeItem(key(form));
});

// Sent as a page: the draft goes once the server has answered with another page, or with this one without errors. An
// answer names the form's page as where it comes from; a page that is opened by itself after a lost connection, or come
// back to, does not, and finds the draft still here.
const SENT = "draft-sent";
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || !event.target.matches("form[data-draft]")) return;
  if (navigator.onLine) sessionStorage.setItem(SENT, JSON.stringify([key(event.target), location.pathname]));
  else {
    event.preventDefault();
    toast(word("offline"));
  }
});

const [sent, from] = JSON.parse(sessionStorage.getItem(SENT) ?? "[]");
const arrived = performance.getEntriesByType("navigation")[0]?.type === "navigate";
if (sent && arrived && document.referrer && new URL(document.referrer).pathname === from) {
  const again = [...document.querySelectorAll("form[data-draft]")].find((form) => key(form) === sent);
  if (!again?.querySelector(".has-error")) sessionStorage.removeItem(sent);
}
sessionStorage.removeItem(SENT);
window.addEventListener("pageshow", (event) => event.persisted && sessionStorage.removeItem(SENT)); // back, as it was

document.addEventListener("htmx:afterSettle", restoreAll);
restoreAll();
