// <details class="menu"> opens by itself; here it closes: on Escape, on a click elsewhere, when another opens.
const closeAll = (except) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!except || !menu.contains(except)) menu.open = false;
  }
};

document.addEventListener("click", (event) => {
  closeAll(event.target);
  const item = event.target.closest("a.menu-item, button.menu-item");
  if (item) closeAll();
});

document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
