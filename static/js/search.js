// Search over everything: a dialog whose list htmx fills; arrows choose, Enter opens.
// The server answers a list of <a role="option" href="…">.
const dialog = document.getElementById("search-dialog");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("[role=listbox]");

export const openSearch = () => {
  if (!dialog) return false;
  if (!dialog.open) dialog.showModal();
  input.focus();
  input.select();
  return true;
};

const options = () => [...list.querySelectorAll("[role=option]")];

const choose = (option) => {
  for (const other of options()) other.setAttribute("aria-selected", String(other === option));
  if (!option) return input.removeAttribute("aria-activedescendant");
  option.id ||= `search-option-${options().indexOf(option)}`;
  input.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
};

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-search-open]") && openSearch()) event.preventDefault();
});

if (dialog) {
  input.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (all.length) choose(all[(at + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]);
    } else if (event.key === "Enter" && all.length) {
      event.preventDefault();
      (all[at] ?? all[0]).click();
    }
  });
  list.addEventListener("htmx:afterSwap", () => choose(options()[0]));
}
