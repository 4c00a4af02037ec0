"""What tables do that can be sorted; a page without scripts shows them as they are."""

import base64
import hashlib

# In a table of class "sortable" the headings become buttons, and above it stands a
# plane of any two of its columns of numbers, with a point for each row.
SCRIPT = """
"use strict";
const SIZE = { width: 640, height: 400, left: 70, right: 15, top: 15, bottom: 45 };

function made(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes))
    element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function ticks(low, high) {
  const raw = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const values = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++)
    values.push(Number((i * step).toPrecision(6)));
  return values;
}

function sort(table, index) {
  const heads = [...table.tHead.rows[0].cells];
  const ascending = heads[index].getAttribute("aria-sort") !== "ascending";
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[index].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const isNumber = heads[index].classList.contains("number");
  const key = (row) => row.cells[index].textContent;
  const compared = (a, b) =>
    isNumber ? parseFloat(a) - parseFloat(b) : a.localeCompare(b);
  const rows = [...table.tBodies[0].rows];
  const known = rows.filter((row) => key(row) !== "");
  known.sort((a, b) => (ascending ? 1 : -1) * compared(key(a), key(b)));
  // What has no value is last either way.
  table.tBodies[0].append(...known, ...rows.filter((row) => key(row) === ""));
}

function plot(svg, table, x, y) {
  const { width, height, left, right, top, bottom } = SIZE;
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const points = [...table.tBodies[0].rows]
    .map((row) => [row, ...[x, y].map((i) => parseFloat(row.cells[i].textContent))])
    .filter(([, a, b]) => Number.isFinite(a) && Number.isFinite(b));
  svg.replaceChildren();
  svg.setAttribute("aria-label", `${names[y]} over ${names[x]}`);
  if (!points.length) return;
  const scales = [1, 2].map((i) => {
    const values = points.map((point) => point[i]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const margin = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
    return [low - margin, high + margin];
  });
  const [[x0, x1], [y0, y1]] = scales;
  const across = (v) => left + ((v - x0) / (x1 - x0)) * (width - left - right);
  const up = (v) => height - bottom - ((v - y0) / (y1 - y0)) * (height - top - bottom);
  for (const v of ticks(x0, x1)) {
    const at = across(v);
    svg.append(made("line", { x1: at, x2: at, y1: top, y2: height - bottom }));
    const place = { x: at, y: height - bottom + 18, "text-anchor": "middle" };
    svg.append(made("text", place, v));
  }
  for (const v of ticks(y0, y1)) {
    const at = up(v);
    svg.append(made("line", { x1: left, x2: width - right, y1: at, y2: at }));
    svg.append(made("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, v));
  }
  for (const [row, a, b] of points) {
    const name = row.cells[0].textContent;
    const told = `${name}: ${names[x]} ${a}, ${names[y]} ${b}`;
    const place = { cx: across(a), cy: up(b), r: 5, tabindex: 0, role: "img" };
    const circle = made("circle", { ...place, "aria-label": told });
    circle.append(made("title", {}, told));
    svg.append(circle);
  }
}

function plane(table) {
  const heads = [...table.tHead.rows[0].cells];
  const numbers = heads.flatMap((h, i) => (h.classList.contains("number") ? [i] : []));
  if (numbers.length < 2) return;
  const figure = document.createElement("figure");
  figure.className = "plane";
  const { width, height } = SIZE;
  const svg = made("svg", { viewBox: `0 0 ${width} ${height}`, role: "group" });
  const selects = ["Across", "Up"].map((text, place) => {
    const label = document.createElement("label");
    const select = document.createElement("select");
    for (const i of numbers) select.add(new Option(heads[i].textContent, i));
    select.selectedIndex = numbers.length - 2 + place;
    select.addEventListener("change", draw);
    label.append(`${text} `, select);
    figure.append(label, " ");
    return select;
  });
  function draw() {
    plot(svg, table, ...selects.map((select) => Number(select.value)));
  }
  figure.append(svg);
  table.closest("figure").before(figure);
  draw();
}

for (const table of document.querySelectorAll("table.sortable")) {
  plane(table);
  [...table.tHead.rows[0].cells].forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, index));
    head.append(button);
  });
}
"""

# Should something from outside ever get past the escaping, it still loads nothing, and
# no other script is run.
_DIGEST = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    f"script-src 'sha256-{_DIGEST}'"
)
