// Changing the theme without a reload: the form of the person menu posts the choice, the page follows at once.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-preferences]");
  const button = event.submitter;
  if (!form || button?.name !== "theme") return;
  event.preventDefault();
  const body = new FormData(form, button);
  document.documentElement.dataset.theme = button.value;
  document.dispatchEvent(new CustomEvent("banyan:theme-chosen"));
  for (const other of form.querySelectorAll("button[name=theme]")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
  await fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => {});
});
