// On a phone: swiping a worklist row to the left shows later and hand over. The row's menu has both as well.
const DISTANCE = 40;
let start = null;

document.addEventListener("pointerdown", (event) => {
  const row = event.pointerType !== "mouse" && event.target.closest("[data-swipe]");
  start = row ? { row, x: event.clientX, y: event.clientY } : null;
});

document.addEventListener("pointerup", (event) => {
  if (!start) return;
  const { row, x, y } = start;
  start = null;
  const moved = event.clientX - x;
  if (Math.abs(moved) < DISTANCE || Math.abs(event.clientY - y) > Math.abs(moved)) return;
  for (const other of document.querySelectorAll("[data-swipe].swiped")) {
    if (other !== row) other.classList.remove("swiped");
  }
  row.classList.toggle("swiped", moved < 0);
});

document.addEventListener("pointercancel", () => (start = null));
