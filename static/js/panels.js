// A panel that could not be loaded says so in its own place; the page around it stands.
// <section data-panel hx-get="…"> holds the blank blocks and a hidden [data-panel-error].
const failed = ({ detail: { elt } }) => {
  if (!elt.matches?.("[data-panel]")) return;
  for (const child of elt.children) child.hidden = !child.matches("[data-panel-error]");
};
document.addEventListener("htmx:responseError", failed);
document.addEventListener("htmx:sendError", failed);
