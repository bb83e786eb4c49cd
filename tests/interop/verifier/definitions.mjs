// Metric definitions, and what a summary of one must say: blocks, noise, charge. metrics.md 2 to 5, privacy.md 2.2.
//
// Left out on purpose: all about rows, and rules of a definition's text that no summary can contradict (3.2, 4.3, 4.5).
import { isBytes } from "./bytes.mjs";
import { byCodeUnit, decode, encode } from "./canonical.mjs";
import { utf8 } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import {
  absolute, ceiling, compare, div, minus, mul, parseDecimal, parseRatio, plus, ratioOf, rootUp, whole,
} from "./ratios.mjs";
import { demand, refuse } from "./refused.mjs";

const MAX_DEFINITION_BYTES = 65_536;
const MAX_CELLS = 65_536;
const MAX_EXACT = 2n ** 53n - 1n;
const GEOMETRIC_CELLS = 256;
const KEYS = ["metric", "question", "from", "measure", "by", "window", "unit", "privacy"];
const PRIVACY_KEYS = [
  "max_cells", "max_per_cell", "shares", "clipped_people", "whole", "rho", "epsilon", "delta", "mechanism",
];
const NAME = /^[a-z][a-z0-9_.-]{0,63}$/;
const ONE = whole(1);
const TWO = whole(2);

/** {window, unit, blocks(keyCount), rho, delta, isDiscovering}; what is not understood is refused as `malformed`. */
export function compile(bytes) {
  const tree = plain(decode(bytes, MAX_DEFINITION_BYTES));
  onlyKeys(tree, KEYS, "definition");
  onlyKeys(tree.privacy, PRIVACY_KEYS, "privacy");
  demand(NAME.test(tree.metric ?? ""), "metric: no name");
  demand(isSource(tree.from), "from: any, an app, or an app's action");
  const axes = readAxes(tree.by ?? {});
  const isDiscovering = axes.some((axis) => axis.isDiscovered);
  const sizes = sizesOf(tree, axes, isDiscovering);
  const blocks = priced(tree.privacy, sizes, isDiscovering);
  const rho = tree.privacy.rho === undefined
    ? blocks.reduce((sum, { rho: one }) => plus(sum, one), whole(0))
    : parseRatio(tree.privacy.rho, "rho");
  const delta = tree.privacy.delta === undefined ? whole(0) : parseRatio(tree.privacy.delta, "delta");
  const maxCells = tree.privacy.max_cells === undefined ? null : positive(tree.privacy.max_cells);
  return { metric: tree.metric, window: tree.window, unit: tree.unit, blocks, rho, delta, isDiscovering, maxCells };
}

function isSource(from) {
  if (typeof from !== "object" || from === null) return from === "any";
  const keys = Object.keys(from).sort().join();
  return (keys === "app" || keys === "action,app") && Object.values(from).every((text) => typeof text === "string" && text !== "");
}

function plain(value) {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  if (Array.isArray(value)) return value.map(plain);
  if (isBytes(value)) return utf8(value, "definition");
  demand(typeof value === "string", "a definition has only texts");
  return value;
}

function onlyKeys(map, keys, field) {
  demand(map !== null && typeof map === "object" && !Array.isArray(map), `${field}: no mapping`);
  for (const key of Object.keys(map)) demand(keys.includes(key), `${field}: unknown key ${key}`);
}

function positive(text) {
  demand(/^[1-9]\d{0,15}$/.test(text ?? ""), "a whole number from 1");
  return BigInt(text);
}

// ---- axes, section 3 ------------------------------------------------------------------------------------------------

const IMPLICIT = { app: 1, action: 1, country: 2, hour: 0 };

function readAxes(by) {
  const names = Object.keys(by).sort(byCodeUnit);
  demand(names.length <= 16, "more than 16 axes");
  return names.map((name) => axisOf(name, by[name]));
}

function axisOf(name, written) {
  if (Array.isArray(written)) demand(written.length > 0 && new Set(written).size === written.length, `axis ${name}: values, each once`);
  if (Array.isArray(written)) return { name, size: written.length + (IMPLICIT[name] ?? 2) };
  if (written.discover === "true") return { name, isDiscovered: true, size: 0 };
  demand(Array.isArray(written.edges), `axis ${name}: neither values nor edges`);
  return { name, size: binsOf(written.edges) };
}

/** `< e1`, `[e1, e2)`, …, `>= em`, `none` */
const binsOf = (edges) => edges.length + 2;

/** Cells of these axes: with an `hour` axis, of the hours the window contains (3.3). */
function groupsOf(axes, isOneHour) {
  return axes.reduce((product, { name, size }) => product * (name === "hour" && isOneHour ? 1 : size), 1);
}

// ---- blocks, sections 4 and 5 ---------------------------------------------------------------------------------------

/** Of each block its name, number of cells, quantum and sensitivities, in order. */
function sizesOf(tree, axes, isDiscovering) {
  const { privacy } = tree;
  const groups = groupsOf(axes, tree.window === "hour");
  const [kind, measure] = typeof tree.measure === "string" ? [tree.measure, null] : measureOf(tree.measure);
  const K = privacy.max_per_cell === undefined ? 1n : positive(privacy.max_per_cell);
  const capped = (units) => {
    const C = positive(privacy.max_cells);
    return isDiscovering || C < BigInt(units) ? C : BigInt(units);
  };
  const context = { groups, K, capped, window: tree.window };
  let blocks = (BLOCKS[kind] ?? (() => refuse("malformed", `measure ${kind}`)))(measure, context);
  if (privacy.whole === "yes") blocks = blocks.flatMap((block, at) => (at === 0 ? [block, wholeOf(block)] : [block]));
  if (isDiscovering) blocks = withPeople(blocks, capped(0));
  if (privacy.clipped_people === "yes") blocks.push(block("clipped_people", 1, 1n, 1n, 1n));
  demand(blocks.reduce((sum, { cells }) => sum + cells, 0) <= MAX_CELLS, "more than 65,536 cells");
  return blocks;
}

function measureOf(map) {
  const kind = ["histogram", "top", "sum", "mean", "funnel", "journey", "retention", "score"].find((one) => one in map);
  return [kind, map];
}

const block = (name, cells, linf, delta1, delta2Squared, quantum = ONE) => ({
  name, cells, linf, delta1, delta2Squared, quantum,
});

/** A block of C units, each moved by at most `most`. */
const evenBlock = (name, cells, C, most, quantum) => block(name, cells, most, C * most, C * most * most, quantum);
const wholeOf = ({ delta1, quantum }) => block("whole", 1, delta1, delta1, delta1 * delta1, quantum);

/** metrics.md 10.3: a block of people first, then the measure's others. */
function withPeople(blocks, C) {
  return [evenBlock("people", 0, C, 1n), ...blocks.filter(({ name }) => name !== "people")];
}

const BLOCKS = {
  count: (_, { groups, K, capped }) => [evenBlock("count", groups, capped(groups), K)],
  people: (_, { groups, capped }) => [evenBlock("people", groups, capped(groups), 1n)],
  top: (_, { groups, K, capped }) => [evenBlock("count", groups, capped(groups), K)],
  histogram({ edges }, { groups, K, capped }) {
    const bins = binsOf(edges);
    return [evenBlock("histogram", groups * bins, capped(groups * bins), K)];
  },
  sum({ range, quantum }, { groups, K, capped }) {
    const [a, b, q] = [...range, quantum].map((text) => parseDecimal(text, "sum"));
    const M = wholeNumber(div([absolute(a), absolute(b)].sort(compare).at(-1), q));
    return [evenBlock("sum", groups, capped(groups), K * M, q)];
  },
  mean({ range, quantum }, { groups, K, capped }) {
    const [a, b, q] = [...range, quantum].map((text) => parseDecimal(text, "mean"));
    const M = wholeNumber(div(minus(b, a), q));
    const C = capped(groups);
    return [evenBlock("deviation", groups, C, K * M, div(q, TWO)), evenBlock("count", groups, C, K)];
  },
  funnel({ funnel, per }, { groups, K, capped }) {
    const cells = groups * funnel.length;
    if (per === "epoch") return [evenBlock("funnel", cells, capped(groups), 1n)];
    return [block("funnel", cells, K, K, K * K)];
  },
  journey({ journey, values }, { groups, K, capped }) {
    const labels = values.length + (IMPLICIT[journey] ?? 2);
    return [evenBlock("journey", groups * labels * labels, capped(groups * labels * labels), K)];
  },
  retention({ retention, ages }, { groups, capped, window }) {
    const cohorts = window === "week" ? 7 : retention === "day" ? 28 : 4;
    const A = positive(ages);
    const units = capped(groups) * A;
    return [block("retention", groups * cohorts * Number(A), 1n, units, units)];
  },
  score({ score }, { groups, capped }) {
    const most = Object.values(score).map(({ most: w }) => positive(w));
    const C = capped(groups);
    const sum = (of) => most.reduce((total, w) => total + of(w), 0n);
    const linf = most.reduce((left, right) => (left > right ? left : right));
    const points = block("score", groups * most.length, linf, C * sum((w) => w), C * sum((w) => w * w));
    return [points, evenBlock("people", groups, C, 1n)];
  },
};

function wholeNumber(ratio) {
  demand(ratio.bottom === 1n, "a range that is not whole quanta");
  return ratio.top;
}

// ---- noise and price, 5.2 and privacy.md 2.2 ------------------------------------------------------------------------

function priced(privacy, sizes, isDiscovering) {
  const isLaplace = privacy.mechanism === "laplace";
  demand(["gaussian", "laplace", undefined].includes(privacy.mechanism), "an unknown mechanism");
  demand((privacy.rho === undefined) !== (privacy.epsilon === undefined), "rho or epsilon");
  demand(privacy.epsilon === undefined || isLaplace, "epsilon goes with laplace only");
  const price = parseRatio(privacy.rho ?? privacy.epsilon, "price");
  return sizes.map((size) => {
    const share = mul(price, shareOf(privacy.shares, size.name, sizes.length));
    return { ...size, ...(isLaplace ? laplace(size, share, privacy, isDiscovering) : gaussian(size, share)) };
  });
}

function shareOf(shares, name, count) {
  return shares === undefined ? ratioOf(1n, BigInt(count)) : parseRatio(shares[name] ?? "", `shares.${name}`);
}

function gaussian({ delta2Squared }, rho) {
  return { mechanism: "gaussian", rho, sigma2: div(whole(delta2Squared), mul(TWO, rho)) };
}

function laplace({ cells, delta1, delta2Squared }, share, privacy, isDiscovering) {
  const b = privacy.epsilon === undefined ? scaleOfRho(delta2Squared, share) : div(whole(delta1), share);
  const isGeometric = !isDiscovering && cells <= GEOMETRIC_CELLS && compare(b, whole(1024)) <= 0;
  const rho = div(whole(delta2Squared), mul(TWO, mul(b, b)));
  return { mechanism: isGeometric ? "geometric" : "laplace", b, rho, sigma2: statedVariance(b) };
}

/** b = √(Δ₂²/(2ρ)), rounded up to a multiple of 1/1024. */
function scaleOfRho(delta2Squared, rho) {
  const square = div(whole(delta2Squared), mul(TWO, rho));
  return ratioOf(rootUp(ceiling(mul(square, whole(1 << 20)))), 1024n);
}

/** 2b² − 1/6 + 1/(120b²); where two integers up to 2⁵³ − 1 do not hold it, up to a multiple of 2⁻²⁰, else whole. */
function statedVariance(b) {
  const square = mul(b, b);
  const exact = plus(minus(mul(TWO, square), ratioOf(1n, 6n)), div(ONE, mul(whole(120), square)));
  const forms = [exact, ratioOf(ceiling(mul(exact, whole(1 << 20))), 1n << 20n), whole(ceiling(exact))];
  const isHeld = ({ top, bottom }) => top <= MAX_EXACT && bottom <= MAX_EXACT;
  return forms.find(isHeld) ?? refuse("malformed", "no such noise");
}

// ---- for comparison -------------------------------------------------------------------------------------------------

/** The bytes of a tree of JSON (2.3): printable ASCII as str, other text as bin. */
export function definitionBytes(tree) {
  const item = (value) => {
    if (typeof value === "string") return /^[\x20-\x7e]*$/.test(value) ? value : Buffer.from(value);
    if (Array.isArray(value)) return value.map(item);
    return new Map(Object.entries(value).map(([key, inner]) => [key, item(inner)]));
  };
  return encode(item(tree));
}

export function summaryOf(bytes) {
  const { metric, rho, blocks } = compile(bytes);
  return {
    metric,
    definition: idOf("definition", bytes).toString("hex"),
    rho: ratioText(rho),
    blocks: blocks.map(({ name, cells, delta1, delta2Squared, mechanism, sigma2, quantum }) => [
      name, cells, Number(delta1), Number(delta2Squared), mechanism, ratioText(sigma2), ratioText(quantum),
    ]),
  };
}

const ratioText = ({ top, bottom }) => (bottom === 1n ? `${top}` : `${top}/${bottom}`);
