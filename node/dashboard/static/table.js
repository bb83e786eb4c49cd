// Tables: a hundred rows on screen at a time, every row in what is taken along.

import { h } from "./dom.js";
import { number, numberOf } from "./format.js";
import { remember, state } from "./state.js";

const ROWS = 100; // on screen at once: more would keep a hand waiting, and nobody reads them together

const made = new WeakMap(); // what a table is made of: a table on screen may hold a part of it only

/**
 * A table. Columns are [heading, cell(row), kind]: cells are text or elements; a kind is "number", or "mark" for what is
 * no data (arrows, buttons). The rows `under` it stand under every page. With an `id`, the page is kept in the address.
 * One of sentences rather than numbers `stacks`: on a phone each row is a list of its cells under their names.
 */
export function table(caption, columns, rows, { tall = false, id = null, rowClass = () => null, under = [], stacks = false } = {}) {
  const kind = (column) => column[2] ?? null;
  const role = (name) => (stacks ? name : null); // said, because a table that is laid out otherwise is none to some readers
  const line = (row, at) => h("tr", { class: rowClass(row), role: role("row"), "aria-rowindex": rows.length > ROWS ? at + 2 : null },
    columns.map((column) => h("td", { class: kind(column), role: role("cell"), "data-name": role(nameOf(column)) }, column[1](row))));
  const body = h("tbody", { role: role("rowgroup") });
  const drawn = h("table", { role: role("table"), "aria-rowcount": rows.length > ROWS ? rows.length + under.length + 1 : null }, caption ? h("caption", {}, h("span", {}, caption)) : null,
    h("thead", { role: role("rowgroup") }, h("tr", { role: role("row"), "aria-rowindex": rows.length > ROWS ? 1 : null },
      columns.map((column) => h("th", { scope: "col", class: kind(column), role: role("columnheader") }, column[0])))), body);
  const region = h("div", { class: `scroll${tall ? " tall" : ""}${stacks ? " stacks" : ""}`, id, tabindex: "0", role: "region", "aria-label": caption || "Table" }, drawn);
  const show = (from) => body.replaceChildren(...rows.slice(from, from + ROWS).map((row, i) => line(row, from + i)), ...under.map((row, i) => line(row, rows.length + i)));
  made.set(drawn, { columns, rows: [...rows, ...under] });
  const first = rows.length > ROWS ? startOf(id, rows.length) : 0;
  show(first);
  return rows.length > ROWS ? h("div", { class: "paged" }, region, pager(id, rows.length, first, (from) => {
    show(from);
    region.scrollTop = 0;
  })) : region;
}

const lastStart = (count) => ROWS * Math.floor((count - 1) / ROWS);

/** The first row on screen, as the address has it: `?ID=301`. */
function startOf(id, count) {
  const asked = Number((id && state(id)) ?? 1);
  return Number.isInteger(asked) && asked > 0 ? Math.min(lastStart(count), ROWS * Math.floor((asked - 1) / ROWS)) : 0;
}

function pager(id, count, first, show) {
  let from = first;
  const told = h("span", { role: "status" });
  const ways = [["first", "First", () => 0], ["back", "Previous", () => from - ROWS], ["next", "Next", () => from + ROWS], ["last", "Last", () => lastStart(count)]];
  const buttons = ways.map(([name, words, to]) => h("button", { type: "button", id: id ? `${id}-${name}` : null, "aria-label": `${words} rows`,
    onclick: () => turn(to()) }, words));
  const tell = () => {
    told.textContent = `Rows ${number(from + 1)} to ${number(Math.min(count, from + ROWS))} of ${number(count)}`;
    buttons.forEach((button, i) => button.setAttribute("aria-disabled", String(i < 2 ? from === 0 : from === lastStart(count)))); // disabled would lose the focus
  };
  const turn = (to) => {
    if (to < 0 || to > lastStart(count) || to === from) return;
    from = to;
    show(from);
    tell();
    if (id) remember({ [id]: from ? String(from + 1) : null }, { quiet: true });
  };
  tell();
  return h("nav", { class: "pager", "aria-label": "Rows of the table" }, buttons.slice(0, 2), told, buttons.slice(2));
}

// -- taking along --------------------------------------------------------------------------------------------

/** True where a place holds rows: a table made here, or a list of facts. */
export const hasRows = (place) => [...place.querySelectorAll("table")].some((one) => made.has(one)) || Boolean(place.querySelector("dl.facts"));

/** Every row of a place's tables as it reads: { names, numeric, rows }. Facts count where there is no table. */
export function rowsOf(place) {
  const tables = [...place.querySelectorAll("table")].map((one) => made.get(one)).filter(Boolean);
  if (!tables.length) {
    const facts = [...place.querySelectorAll("dl.facts > dt")].map((one) => [textOf(one), textOf(one.nextElementSibling)]);
    return { names: ["what", "value"], numeric: [false, false], rows: facts };
  }
  const told = (one) => one.columns.filter((column) => column[2] !== "mark");
  const columns = tables.flatMap(told);
  const names = [...new Set(columns.map(nameOf))]; // tables of one place share their columns
  const numeric = names.map((name) => columns.filter((column) => nameOf(column) === name).every((column) => column[2] === "number"));
  const rows = tables.flatMap((one) => {
    const cells = names.map((name) => told(one).find((column) => nameOf(column) === name));
    return one.rows.map((row) => cells.map((column) => (column ? textOf(column[1](row)) : "")));
  });
  return { names, numeric, rows };
}

const nameOf = ([heading]) => (heading instanceof Node ? heading.textContent : heading);

/** The text of a cell, as a reader of the page has it: what stands there for the eye alone is left out. */
function textOf(cell) {
  const found = h("span", {}, cell);
  for (const one of found.querySelectorAll("[aria-hidden]")) one.remove();
  for (const one of found.querySelectorAll("br")) one.replaceWith(", ");
  return found.textContent.replaceAll(/\s+/g, " ").trim();
}

/** A column's values as numbers, null where a cell has none; or null where one cell is something else. */
export function numbersOf(texts) {
  const values = texts.map((text) => (text === "" || text === "–" ? null : numberOf(text)));
  return values.some((value) => value !== null) && !values.some((value) => Number.isNaN(value)) ? values : null;
}
