"use strict";
const value = cell => {
  if (cell.dataset.value !== undefined) return parseFloat(cell.dataset.value);
  const text = cell.textContent.trim().replace("−", "-");
  const number = parseFloat(text);
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
for (const input of document.querySelectorAll("input[data-filter]")) {
  const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
  const status = document.querySelector(`[data-count="${input.dataset.filter}"]`);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
      shown += !row.hidden;
    }
    status.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
}
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  if (target && target.tagName === "DETAILS") target.scrollIntoView();
};
addEventListener("hashchange", open);
addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details:not(.cell)")) d.open = true; });
open();
