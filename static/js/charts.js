// Charts: <div data-chart="id" data-option="…"> with an ECharts option as JSON that holds data and shape only (an
// attribute, since htmx takes script elements out of what it brings in). Colours and type come from the page's own
// variables, so light and dark both fit; the SVG renderer and rich-text tooltips keep to a policy without inline
// styles. A data item with `href` opens it. `decimals`: of figures in tooltips and labels, 1 unless it is said.
const SERIES = ["c1", "c2", "c3", "c4"];
const TOKEN = /^(c[1-4]|t-(high|mid|general)|ink(-[23])?|line(-2)?|grid|act|watch-fill|risk-fill|surface)$/;
const drawn = new Map();
let loading = null;

const load = () =>
  (loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector("meta[name=chart-library]").content;
    script.onload = () => resolve(window.echarts);
    script.onerror = reject;
    document.head.append(script);
  }));

const style = () => getComputedStyle(document.documentElement);
const color = (name, computed = style()) => computed.getPropertyValue(`--${name}`).trim();

// Colours in an option are named by token ("t-high"): names become values, everything else stays.
const paint = (value, computed) => {
  if (Array.isArray(value)) return value.map((item) => paint(item, computed));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [
      key,
      /color/i.test(key) && typeof item === "string" && TOKEN.test(item) ? color(item, computed) : paint(item, computed),
    ]));
  }
  return value;
};

const axis = (given, computed) => {
  const one = (axisOption) => {
    const isValue = axisOption.type === "value" || axisOption.type === "log";
    return {
      ...axisOption,
      axisTick: { show: false, ...axisOption.axisTick },
      axisLine: { show: !isValue, lineStyle: { color: color("line-2", computed) }, ...axisOption.axisLine },
      axisLabel: { color: color("ink-3", computed), fontSize: 12, ...axisOption.axisLabel },
      splitLine: { show: isValue, lineStyle: { color: color("grid", computed) }, ...axisOption.splitLine },
    };
  };
  return Array.isArray(given) ? given.map(one) : one(given);
};

const said = (value, numbers) => (typeof value === "number" ? numbers.format(value).replace("-", "−") : (value ?? "–"));

const series = (given, computed, numbers) => {
  const common = given.type === "line"
    ? { symbol: "none", smooth: false, lineStyle: { width: 2, ...given.lineStyle } }
    : given.type === "bar"
      ? { barMaxWidth: 28, barGap: "2px" }
      : {};
  const area = given.areaStyle ? { areaStyle: { opacity: 0.05, ...given.areaStyle } } : {};
  const end = given.endLabel
    ? { endLabel: {
        show: true,
        fontSize: 13,
        fontWeight: 600,
        color: "inherit",
        formatter: ({ value }) => said([value].flat().at(-1), numbers),
        ...given.endLabel,
      } }
    : {};
  const label = given.label ? { label: { color: color("ink-2", computed), fontSize: 12, ...given.label } } : {};
  return { ...common, ...given, ...area, ...end, ...label };
};

const complete = (option, chinese) => {
  const computed = style();
  const { decimals = 1, ...painted } = paint(option, computed);
  const numbers = new Intl.NumberFormat(chinese ? "zh-CN" : "en-GB", { maximumFractionDigits: decimals });
  const result = {
    animation: false,
    color: SERIES.map((name) => color(name, computed)),
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12, color: color("ink-3", computed) },
    ...painted,
    grid: {
      left: 12,
      right: 16,
      top: 24,
      bottom: 8,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
      ...painted.grid,
    },
    tooltip: {
      renderMode: "richText",
      confine: true,
      trigger: painted.xAxis ? "axis" : "item",
      backgroundColor: color("surface", computed),
      borderColor: color("line-2", computed),
      textStyle: { color: color("ink", computed), fontSize: 12 },
      valueFormatter: (value) => said(value, numbers),
      ...painted.tooltip,
    },
    series: [painted.series ?? []].flat().map((one) => series(one, computed, numbers)),
  };
  if (painted.legend) {
    result.legend = { ...painted.legend, textStyle: { color: color("ink-2", computed), fontSize: 12, ...painted.legend.textStyle } };
  }
  for (const name of ["xAxis", "yAxis"]) if (painted[name]) result[name] = axis(painted[name], computed);
  return result;
};

const draw = async (box) => {
  const echarts = await load();
  if (!box.isConnected) return;
  const option = JSON.parse(box.dataset.option);
  const chart = drawn.get(box) ?? echarts.init(box, null, { renderer: "svg" });
  chart.setOption(complete(option, document.documentElement.lang.startsWith("zh")), true);
  if (drawn.has(box)) return;
  drawn.set(box, chart);
  sizes.observe(box);
  chart.on("click", ({ data: item }) => item?.href && location.assign(item.href));
};

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) drawn.get(target)?.resize();
});

// Charts near the window come first; the others when the browser has nothing better to do, so that a print,
// a full-page picture and a jump to the page's end find them drawn.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    draw(target);
  }
}, { rootMargin: "300px" });

const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 200));
const rest = async () => {
  const box = [...document.querySelectorAll("[data-chart]")].find((one) => !drawn.has(one));
  if (!box) return;
  near.unobserve(box);
  await draw(box);
  if (drawn.has(box)) idle(rest);
};

const start = () => {
  for (const [box, chart] of drawn) {
    if (box.isConnected) continue;
    sizes.unobserve(box);
    chart.dispose();
    drawn.delete(box);
  }
  for (const box of document.querySelectorAll("[data-chart]")) if (!drawn.has(box)) near.observe(box);
  idle(rest);
};

document.addEventListener("htmx:afterSettle", start);
document.addEventListener("banyan:theme", () => drawn.forEach((_, box) => draw(box)));
window.addEventListener("beforeprint", () => document.querySelectorAll("[data-chart]").forEach(draw));
start();
