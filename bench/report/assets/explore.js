"use strict";
const form = document.getElementById("choose"), chart = document.getElementById("chart"), about = document.getElementById("about");
const color = family => `var(--${["adversarial", "closed form", "sampled", "KL", "control"].includes(family) ? family.toLowerCase().replace(" ", "-") : "other"})`;
const SYMBOLS = { adversarial: "square", "closed form": "circle", sampled: "diamond", KL: "triangle", control: "times", other: "star" };
const families = [...new Set(Object.values(DATA.methods).map(m => m.family))];
const option = (text, value) => Object.assign(document.createElement("option"), { value, textContent: text });
form.experiment.append(...Object.entries(DATA.experiments).map(([id, x]) => option(x.title, id)));
document.getElementById("families").append(...families.map(f => {
  const label = document.createElement("label"), box = Object.assign(document.createElement("input"), { type: "checkbox", name: "family", value: f, checked: true });
  label.append(box, " ", Object.assign(document.createElement("i"), { className: `family ${f.toLowerCase().replace(" ", "-")}` }), f);
  return label;
}));
const measures = () => {
  const known = DATA.experiments[form.experiment.value].measures, before = form.measure.value;
  form.measure.replaceChildren(...Object.entries(known).map(([id, m]) => option(m.unit ? `${m.label} (${m.unit})` : m.label, id)));
  if (before in known) form.measure.value = before;
};
const boxes = () => [...form.querySelectorAll("[name=family]")];
const read = () => {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (wanted.get("experiment") in DATA.experiments) form.experiment.value = wanted.get("experiment");
  measures();
  if (wanted.get("measure") in DATA.experiments[form.experiment.value].measures) form.measure.value = wanted.get("measure");
  form.over.value = wanted.get("over") === "seconds" ? "seconds" : "";
  form.whole.checked = wanted.has("whole");
  if (wanted.has("families")) for (const box of boxes()) box.checked = wanted.get("families").split(",").includes(box.value);
  draw();
};
const address = () => {
  const said = new URLSearchParams({ experiment: form.experiment.value, measure: form.measure.value });
  if (form.over.value) said.set("over", form.over.value);
  if (form.whole.checked) said.set("whole", "1");
  if (boxes().some(b => !b.checked)) said.set("families", boxes().filter(b => b.checked).map(b => b.value).join(","));
  history.replaceState(null, "", `#${said}`);
};
// A chart is an image to a screen reader; the table below it is for the keyboard.
const quiet = place => {
  for (const link of place.querySelectorAll("a")) link.setAttribute("tabindex", "-1");
  for (const svg of place.querySelectorAll("svg")) svg.setAttribute("aria-hidden", "true");
};
// The ends of a scale that most methods share, as in the figures: one that failed does not flatten the others.
const ends = (points, means) => {
  const sorted = [...means.values()].sort(d3.ascending), low = d3.quantile(sorted, .25), high = d3.quantile(sorted, .75), reach = 2 * (high - low);
  return d3.extent(points.filter(p => low - reach <= means.get(p.method) && means.get(p.method) <= high + reach), p => p.value);
};
const draw = () => {
  const experiment = DATA.experiments[form.experiment.value], measure = experiment.measures[form.measure.value];
  const shown = new Set(boxes().filter(b => b.checked).map(b => b.value)), label = measure.unit ? `${measure.label} (${measure.unit})` : measure.label;
  const points = measure.values.map(([i, seed, value]) => {
    const method = experiment.methods[i], [run, seconds] = experiment.runs[`${i} ${seed}`];
    return { method, seed, value, run, seconds, ...DATA.methods[method] };
  }).filter(p => shown.has(p.family) && (!form.over.value || p.seconds));
  const means = d3.rollup(points, v => d3.mean(v, p => p.value), p => p.method), edges = form.whole.checked ? d3.extent(points, p => p.value) : ends(points, means);
  const beyond = d3.sort(new Set(points.map(p => p.method)), m => m).filter(m => means.get(m) < edges[0] || means.get(m) > edges[1]);
  const order = d3.sort(new Set(points.map(p => p.short)), s => d3.mean(points.filter(p => p.short === s), p => p.value) * (measure.higher ? -1 : 1));
  const number = d3.format(`.${measure.digits + 1}f`), place = p => Math.min(Math.max(p.value, edges[0]), edges[1]);
  const seconds = form.over.value === "seconds";
  const channels = {
    [seconds ? "y" : "x"]: place, [seconds ? "x" : "y"]: seconds ? "seconds" : "short", stroke: p => color(p.family), symbol: p => SYMBOLS[p.family] || SYMBOLS.other, r: 4,
    href: p => `experiments/${form.experiment.value}.html#cell-${p.method}`, ariaLabel: p => `${p.short}, seed ${p.seed}: ${number(p.value)}`,
    channels: { method: "short", seed: "seed", value: p => number(p.value), run: "run", command: p => `latentbench train ${DATA.config} ${p.run}` },
    tip: { format: { x: false, y: false, stroke: false, symbol: false, r: false, href: false, ariaLabel: false }, lineWidth: 60, fill: "var(--paper)" },
  };
  const marks = [Plot.dot(seconds ? points : points.filter(p => !beyond.includes(p.method)), channels)];
  if (!seconds) marks.push(
    Plot.tickX(points.filter(p => !beyond.includes(p.method)), Plot.groupY({ x: "mean" }, { x: place, y: "short", stroke: p => color(p.family), strokeWidth: 3 })),
    ...[[0, "start"], [1, "end"]].map(([end, textAnchor]) => Plot.text(beyond.filter(m => (means.get(m) < edges[0]) === !end), {
      x: () => edges[end], y: m => DATA.methods[m].short, textAnchor, href: m => `experiments/${form.experiment.value}.html#cell-${m}`, text: m => end ? `${number(means.get(m))} →` : `← ${number(means.get(m))}`, fill: "currentColor" })));
  else marks.push(Plot.text(d3.rollups(points, v => ({ short: v[0].short, family: v[0].family, x: d3.mean(v, p => p.seconds), y: d3.max(v, place) }), p => p.method).map(([, m]) => m),
    { x: "x", y: "y", text: "short", dy: -11, fill: m => color(m.family) }));
  const arrow = measure.higher === true ? (seconds ? "↑ " : "→ ") : measure.higher === false ? (seconds ? "↓ " : "← ") : "", better = arrow && `${arrow}better`;
  const name = seconds ? { grid: true, label: `${label} ${better}`, nice: true } : { grid: true, label: `${label} ${better}`, nice: true, labelAnchor: "center", labelArrow: "none", axis: "top" };
  chart.replaceChildren(points.length ? Plot.plot({
    width: Math.min(1180, Math.max(300, chart.clientWidth)), height: seconds ? 480 : 90 + 20 * order.length, marginLeft: seconds ? 60 : 140, marginTop: seconds ? 20 : 40, marginRight: 24, marginBottom: 45,
    style: { background: "transparent", fontSize: "12px" }, color: { type: "identity" }, symbol: { type: "identity" },
    x: seconds ? { type: "log", label: "training time of a run (s)", labelAnchor: "center", labelArrow: "none", tickFormat: "~g", ticks: 6 } : name, y: seconds ? name : { label: null, domain: order }, marks,
  }) : "No method of these families has this number.");
  quiet(chart);
  chart.setAttribute("aria-label", `${experiment.title}: ${label} of ${order.length} methods, ${points.length} seeds`);
  const far = beyond.map(m => DATA.methods[m].short);
  about.textContent = (far.length ? `Beyond the scale, drawn at its edge: ${far.join(", ")}; their seeds are left out. ` : "") + `${points.length} runs of ${order.length} methods.`;
  document.querySelector("#as-table tbody").replaceChildren(...order.map(short => {
    const own = points.filter(p => p.short === short), values = own.map(p => p.value), row = document.createElement("tr");
    const head = document.createElement("th"), link = document.createElement("a");
    head.scope = "row";
    link.href = `experiments/${form.experiment.value}.html#cell-${own[0].method}`;
    link.textContent = short;
    head.append(link);
    row.append(head, ...[number(d3.mean(values)), values.length > 1 ? number(d3.deviation(values)) : "–", values.length, own.map(p => `${p.seed}: ${number(p.value)}`).join(", ")]
      .map(text => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
};
// The share of a method's runs that gain more than so much, all measures together.
const profiles = () => {
  const place = document.getElementById("profiles");
  if (!place || !DATA.profiles) return;
  const points = Object.entries(DATA.profiles.of).flatMap(([m, shares]) => shares.map((share, i) => ({ ...DATA.methods[m], share, gain: DATA.profiles.gains[i] })));
  const of = d3.groups(points, p => p.short); // a name beside each line, each a step lower than the one before
  const names = of.map(([, own], i) => d3.least(own, p => Math.abs(p.share - .9 + .8 * i / of.length)));
  place.replaceChildren(Plot.plot({
    width: Math.min(900, Math.max(300, place.clientWidth)), height: 380, marginLeft: 50, marginBottom: 40, style: { background: "transparent", fontSize: "12px" }, color: { type: "identity" },
    x: { label: "gain on the reference → better", labelAnchor: "center", labelArrow: "none" }, y: { label: "share of runs that gain more", grid: true, tickFormat: ".0%" },
    marks: [Plot.ruleX([0], { strokeOpacity: .4 }), ...of.map(([, own], i) => Plot.line(own, { x: "gain", y: "share", stroke: color(own[0].family), curve: "step", strokeDasharray: ["none", "6 3", "2 3"][of.slice(0, i).filter(([, o]) => o[0].family === own[0].family).length % 3] })),
      Plot.text(names, { x: "gain", y: "share", text: "short", fill: p => color(p.family), textAnchor: "start", dx: 6, stroke: "var(--paper)", strokeWidth: 4 }),
      Plot.tip(points, Plot.pointer({ x: "gain", y: "share", title: p => `${p.short}: ${d3.format(".0%")(p.share)} of runs gain more than ${p.gain}`, fill: "var(--paper)" }))],
  }));
  quiet(place);
};
form.addEventListener("change", event => { if (event.target.name === "experiment") measures(); draw(); address(); });
form.addEventListener("submit", event => event.preventDefault());
addEventListener("hashchange", read);
addEventListener("resize", () => { draw(); profiles(); });
read();
profiles();
