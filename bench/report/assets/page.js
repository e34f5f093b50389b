"use strict";
document.documentElement.classList.add("js");
const value = cell => {
  if (cell.dataset.value !== undefined) return parseFloat(cell.dataset.value);
  const text = cell.textContent.trim().replace("−", "-"), number = parseFloat(text);
  return /^[-+]?[\d.]/.test(text) && !Number.isNaN(number) ? number : text.toLowerCase();
};
const empty = cell => ["", "–"].includes(cell.textContent.trim().replace(/[a-z]$/, ""));
for (const button of document.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending", index = head.cellIndex;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map((row, i) => [row, i]);
    rows.sort(([a, i], [b, j]) => {
      const x = a.cells[index], y = b.cells[index];
      if (empty(x) || empty(y)) return empty(x) - empty(y) || i - j; // what is missing stays last
      const u = value(x), v = value(y);
      const order = typeof u === "number" && typeof v === "number" ? u - v : String(u).localeCompare(String(v));
      return (down ? -order : order) || i - j;
    });
    body.append(...rows.map(([row]) => row));
  });
}
// A table's tools: rows by words, by family and by the choice of the first ones; columns by their boxes.
for (const tools of document.querySelectorAll(".tools")) {
  const table = document.getElementById(tools.dataset.for), rows = [...table.tBodies[0].rows];
  const words = tools.querySelector("[data-filter]"), family = tools.querySelector("[data-family]");
  const all = tools.querySelector("[data-rows]"), status = tools.querySelector("[role=status]");
  const boxes = [...tools.querySelectorAll("[data-column]")];
  const update = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean), kin = family ? family.value : "";
    const first = all && all.getAttribute("aria-pressed") === "false" && !wanted.length && !kin;
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const hit = wanted.every(word => text.includes(word)) && (!kin || row.dataset.family === kin) && !(first && row.classList.contains("rest"));
      row.classList.toggle("off", !hit);
      shown += hit;
    }
    status.textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : "";
    for (const box of boxes) for (const row of table.rows) if (row.cells[box.dataset.column]) row.cells[box.dataset.column].classList.toggle("off", !box.checked);
  };
  words.addEventListener("input", update);
  if (family) family.addEventListener("change", update);
  for (const box of boxes) box.addEventListener("change", update);
  if (all) all.addEventListener("click", () => { all.setAttribute("aria-pressed", all.getAttribute("aria-pressed") === "false"); update(); });
  update();
}
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", open);
// A list of pages, or of columns, closes when something else is chosen.
addEventListener("click", event => {
  for (const list of document.querySelectorAll("nav details[open], .columns[open]")) if (!list.contains(event.target)) list.open = false;
});
addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  for (const list of document.querySelectorAll("nav details[open], .columns[open]")) list.open = false;
});
if (location.hash) open();
