// Cells of many releases, added by label: answers.md 4.1. A sum is {value, noise}, in the measure's unit.
import { readCells } from "./cells.mjs";
import { byBytes } from "./questions.mjs";
import { fromWire, minus, mul, plus, ratioOf, whole } from "./ratios.mjs";
import { NO_NOISE, scaled, together } from "./spread.mjs";

export const NOTHING = { value: whole(0), noise: NO_NOISE };

export function add(...sums) {
  const value = sums.reduce((total, sum) => plus(total, sum.value), whole(0));
  return { value, noise: together(...sums.map(({ noise }) => noise)) };
}

/** One number less another of independent noise. */
export const less = (one, other) => ({ value: minus(one.value, other.value), noise: together(one.noise, other.noise) });
export const times = ({ value, noise }, factor) => ({ value: mul(value, factor), noise: scaled(noise, factor) });

/** Names of labels, joined: the key of a cell in a Map. */
export const nameOf = (labels) => JSON.stringify(labels);

/**
 * One release's blocks: Map of name to {axes, cells: Map of labels to a sum}, narrowed by `where`, its axes of `by` summed
 * down to those kept. `window` with its row.
 */
export function releaseSums({ data, entry }, window, { by, where }) {
  const { layout } = window.row;
  const keys = data.isKeyed ? data.keys.map((key) => key.toString("utf8")) : null;
  const total = data.cellCount;
  const vector = total === 0 ? [] : readCells(entry.cells, total);
  const rate = fromWire(data.sampling);
  const found = new Map();
  let at = 0;
  for (const block of layout.blocks) {
    const axes = block.axes.map((axis) => ({ name: axis.name, labels: labelsIn(axis, window, keys) }));
    const all = product(axes.map(({ labels }) => labels));
    const unit = mul(block.quantum, ratioOf(rate.bottom, rate.top));
    const noise = noiseOf(block, unit);
    const cells = new Map();
    for (const labels of all) {
      const sum = { value: mul(whole(vector[at]), unit), noise };
      at += 1;
      if (!isLeft(axes, labels, where)) continue;
      const kept = labels.filter((_, axis) => isKept(axes[axis].name, layout, by));
      const name = nameOf(kept);
      cells.set(name, cells.has(name) ? add(cells.get(name), sum) : sum);
    }
    found.set(block.name, cells);
  }
  return { blocks: found, keys: keys?.filter((key) => where?.get(layout.by[0].name)?.includes(key) ?? true) };
}

/** metrics.md 3.3: of `hour` those the window contains. */
export function labelsIn({ name, labels }, window, keys) {
  if (labels === null) return keys;
  return name === "hour" && window.length === "hour" ? [String((window.start / 3_600) % 24)] : labels;
}

export function product(lists) {
  return lists.reduce((rows, list) => rows.flatMap((row) => list.map((one) => [...row, one])), [[]]);
}

const isKept = (name, { by: axes }, by) => by.includes(name) || !axes.some((axis) => axis.name === name);

export function isLeft(axes, labels, where) {
  return where === null || axes.every(({ name }, at) => where.get(name)?.includes(labels[at]) ?? true);
}

/** Of one cell: Laplace draws of b, or Gaussian. */
function noiseOf({ sigma2, b }, unit) {
  const variance = mul(sigma2, mul(unit, unit));
  if (b === undefined) return { variance, gaussian: variance, draws: [] };
  return { variance, gaussian: whole(0), draws: [{ b, step: unit, n: 1 }] };
}

/** Blocks of several releases added up. */
export function addBlocks(list) {
  const all = new Map();
  for (const { blocks } of list) {
    for (const [name, cells] of blocks) {
      const into = all.get(name) ?? new Map();
      for (const [key, sum] of cells) into.set(key, into.has(key) ? add(into.get(key), sum) : sum);
      all.set(name, into);
    }
  }
  return all;
}

export const keysOf = (list) => [...new Set(list.flatMap(({ keys }) => keys ?? []))].sort(byBytes);
