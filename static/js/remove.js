// A button with data-remove="#id" takes that element away: a row of a form that is no longer wanted.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (button) document.querySelector(button.dataset.remove)?.remove();
});
