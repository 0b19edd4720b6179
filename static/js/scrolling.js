// Makes a table that scrolls sideways reachable by keyboard where nothing in it takes the focus.
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

function reach(box) {
  const scrolls = box.scrollWidth > box.clientWidth + 1;
  if (scrolls && !box.querySelector(FOCUSABLE)) {
    box.tabIndex = 0;
    box.dataset.reached = "";
  } else if ("reached" in box.dataset) {
    box.removeAttribute("tabindex");
    delete box.dataset.reached;
  }
}

const boxes = new ResizeObserver((entries) => entries.forEach((entry) => reach(entry.target)));
const look = () => document.querySelectorAll(".table-scroll, .sheet").forEach((box) => boxes.observe(box));
look();
document.addEventListener("htmx:afterSettle", look);
