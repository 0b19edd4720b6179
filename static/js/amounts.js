// Says beside the label of an amount what has been typed, in the scale people speak in (1,200.0 万 · 12.0 M), so that
// a nought too many is seen; and lets the unit in the box follow the form's own currency.
const chinese = document.documentElement.lang.startsWith("zh");
const LADDER = chinese ? [[1e8, "亿", 2], [1e4, "万", 1]] : [[1e9, "B", 2], [1e6, "M", 1], [1e3, "K", 1]];
const WORTH_SAYING = 10000;

const spoken = (text) => {
  const amount = Number(text.replace(/[,，\s]/g, ""));
  if (!text.trim() || !Number.isFinite(amount) || Math.abs(amount) < WORTH_SAYING) return "";
  const [size, name, digits] = LADDER.find(([least]) => Math.abs(amount) >= least);
  const shown = (Math.abs(amount) / size).toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${amount < 0 ? "−" : ""}${shown} ${name}`;
};

const say = (box) => {
  const input = box.querySelector("input");
  let words = box.parentElement.querySelector(".field-spoken");
  if (!words) {
    words = document.createElement("output");
    words.className = "field-spoken";
    words.htmlFor = input.id;
    box.after(words);
  }
  words.value = spoken(input.value);
};

const follow = (currency) => {
  const code = currency.value.trim().toUpperCase();
  if (code.length !== 3) return;
  const unit = chinese && code === "CNY" ? "元" : code;
  for (const place of currency.form.querySelectorAll("[data-amount] .field-unit")) place.textContent = unit;
};

const sayAll = () => document.querySelectorAll("[data-amount]").forEach(say);
document.addEventListener("input", (event) => {
  const box = event.target.closest("[data-amount]");
  if (box) say(box);
  if (event.target.name === "currency" && event.target.form) follow(event.target);
});
document.addEventListener("htmx:afterSettle", sayAll);
document.addEventListener("banyan:filled", sayAll); // a draft was put back
sayAll();
