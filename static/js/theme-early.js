// Runs before the first paint, so that a dark screen never flashes white: "auto" follows the system.
// Not a module: modules wait for the document.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = root.dataset.theme;
    const theme = chosen === "dark" || (chosen === "auto" && dark.matches) ? "dark" : "light";
    if (root.dataset.bsTheme !== theme) {
      root.dataset.bsTheme = theme;
      document.dispatchEvent(new CustomEvent("banyan:theme"));
    }
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("banyan:theme-chosen", apply);
})();
