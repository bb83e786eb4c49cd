// Badges beside an answer: metrics.md 9.8.
import { toHex } from "./bytes.mjs";
import { byCodeUnit } from "./canonical.mjs";
import { readCells } from "./cells.mjs";
import { compare, div, isSame, minus, mul, parseDecimal, plus, ratioOf, whole } from "./ratios.mjs";
import { textOf } from "./rounding.mjs";
import { NOTHING, add, addBlocks, isLeft, labelsIn, nameOf, product, times } from "./sums.mjs";

const ZERO = whole(0);
const SHARE = ratioOf(2n, 5n);
const REST = ratioOf(3n, 5n);
const ORGANISATIONS = 3;
const MOST_CELLS = 1_000;
const L = parseDecimal("14.508658", "L");
const SPREAD = parseDecimal("1.386295", "spread");
const CHANGE_WINDOWS = { least: 22, most: 128 };
const STILL_CELLS = { least: 10, most: 4_096 };
const RULES = {
  false_alarm: { change_point: "1/10000", driven_by_one: "1/1000000", too_exact: "1/1000000" },
  organisations: BigInt(ORGANISATIONS),
  share: "2/5",
  times: 2n,
};

const sizeOf = (value) => (value.top < 0n ? minus(ZERO, value) : value);
const total = (values) => values.reduce(plus, ZERO);
const falling = (left, right) => compare(right, left);

/** `badges` of an answer; `isWithheld`: the charter demands several organisations (9.9). */
export function badgesOf(view, isWithheld) {
  const empty = { schema: "murmur.badges/1", alarms: [], cells: [], influence: [], members: [], sums: null, rules: RULES };
  if (isWithheld) return { ...empty, withheld: "too_few_organisations" };
  const found = contributionsOf(view);
  const members = testedMembers(view);
  const first = found.length >= ORGANISATIONS ? drivenByOne(view, found) : [];
  return {
    ...empty,
    alarms: [...first, ...members.flatMap(({ alarms }) => alarms)],
    cells: cellsOf(view),
    influence: found.map((one) => influenceOf(view, one, found)),
    members: members.map(({ field }) => field),
    sums: found.length >= ORGANISATIONS ? sumsOf(view, found.map(({ sum }) => sum.value)) : null,
  };
}

/** Of each organisation with a release, by falling size, then by id. */
function contributionsOf(view) {
  const named = view.releases.filter(namesACell(view));
  const homes = [...new Set(named.map(({ member }) => member.organisation))];
  const found = homes.map((organisation) => {
    const own = named.filter(({ member }) => member.organisation === organisation);
    const members = view.tip.members.filter((member) => own.some((one) => one.member.name === member.name));
    return { organisation, members, sum: view.headlineSum(addBlocks(own)) };
  });
  return found.sort((left, right) =>
    falling(sizeOf(left.sum.value), sizeOf(right.sum.value)) || byCodeUnit(left.organisation, right.organisation));
}

const namesACell = ({ layout }) => ({ blocks }) => (blocks.get(layout.headline)?.size ?? 0) > 0;

const who = ({ organisation, members }) => ({
  organisation, names: members.map(({ name }) => name), nodes: members.map(({ node }) => toHex(node)),
});

function influenceOf(view, one, found) {
  const sizes = total(found.map(({ sum }) => sizeOf(sum.value)));
  const others = total(found.filter((other) => other !== one).map(({ sum }) => sum.value));
  const share = sizes.top === 0n ? null : textOf(div(sizeOf(one.sum.value), sizes), 3);
  return { ...who(one), share, without: view.shown(others) };
}

// ---- one organisation -----------------------------------------------------------------------------------------------

function drivenByOne(view, found) {
  const [largest] = found;
  const signed = ({ sum }, factor) => times(sum, sum.value.top < 0n ? minus(ZERO, factor) : factor);
  const gap = add(signed(largest, REST), ...found.slice(1).map((one) => signed(one, minus(ZERO, SHARE))));
  if (gap.value.top <= 0n || !isOutOfReach(gap)) return [];
  return [{ badge: "driven_by_one", ...influenceOf(view, largest, found) }];
}

/** More than its noise reaches with probability 5·10⁻⁷. */
function isOutOfReach({ value, noise }) {
  const square = (draw) => mul(mul(draw.b, draw.step), mul(draw.b, draw.step));
  const explained = ({ b, step, n }) =>
    mul(whole(n), mul(minus(mul(whole(2), mul(b, b)), ratioOf(1n, 6n)), mul(step, step)));
  const left = minus(noise.variance, total(noise.draws.map(explained)));
  const v = left.top < 0n ? ZERO : left;
  const A = plus(div(v, whole(2)), mul(SPREAD, total(noise.draws.map((draw) => mul(whole(draw.n), square(draw))))));
  const B = noise.draws.map(({ b, step }) => mul(b, step)).sort(falling)[0] ?? ZERO;
  if (compare(mul(L, mul(B, B)), mul(ratioOf(49n, 100n), A)) <= 0) {
    return compare(mul(value, value), mul(whole(4), mul(A, L))) > 0;
  }
  const s = div(whole(7), mul(whole(10), B));
  return compare(value, plus(mul(A, s), div(L, s))) > 0;
}

// ---- capped and trimmed ---------------------------------------------------------------------------------------------

/** c, or null where nobody is cut. */
function capOf(values) {
  const sizes = values.map(sizeOf).sort(falling);
  for (let cut = 0; cut < sizes.length; cut++) {
    const rest = total(sizes.slice(cut));
    const left = minus(whole(1), mul(SHARE, whole(cut)));
    const cap = div(mul(SHARE, rest), left);
    if (compare(sizes[cut], cap) <= 0) return cut === 0 ? null : cap;
  }
  return null;
}

function cappedSum(values, cap) {
  if (cap === null) return total(values);
  return total(values.map((value) => {
    if (compare(sizeOf(value), cap) <= 0) return value;
    return value.top < 0n ? minus(ZERO, cap) : cap;
  }));
}

const leftOut = (values) => Math.max(1, Math.floor(values.length / 5));

function trimmedSum(values) {
  const out = leftOut(values);
  return total([...values].sort(compare).slice(out, values.length - out));
}

function sumsOf(view, values) {
  const cap = capOf(values);
  return {
    organisations: BigInt(values.length),
    plain: view.shown(total(values)),
    capped: view.shown(cappedSum(values, cap)),
    cap: cap && view.shown(cap),
    trimmed: view.shown(trimmedSum(values)),
    left_out: BigInt(2 * leftOut(values)),
  };
}

/** Beside each shown cell that three organisations released. */
function cellsOf(view) {
  const shown = view.cells.filter((cell) => view.isShown(cell));
  if (shown.length > MOST_CELLS) return [];
  return shown.flatMap((cell) => {
    const by = new Map();
    for (const { member, blocks } of view.releases) {
      const sum = blocks.get(view.layout.headline)?.get(nameOf(cell.labels));
      if (sum !== undefined) by.set(member.organisation, add(by.get(member.organisation) ?? NOTHING, sum));
    }
    if (by.size < ORGANISATIONS) return [];
    const values = [...by.values()].map(({ value }) => value);
    return [{ key: view.keyOf(cell.labels), capped: view.shown(cappedSum(values, capOf(values))), trimmed: view.shown(trimmedSum(values)) }];
  });
}

// ---- members by themselves ------------------------------------------------------------------------------------------

function testedMembers(view) {
  return view.tip.members.flatMap((member) => {
    const releases = view.releases.filter((one) => one.member.name === member.name);
    if (!releases.some(namesACell(view))) return [];
    const isTested = !view.layout.isDiscovering;
    const change = isTested ? changePoint(view, releases) : "not_tested";
    const still = isTested ? tooExact(releases, view.question.where) : "not_tested";
    const state = (found) => (typeof found === "string" ? found : "alarm");
    const { organisation } = member;
    const own = who({ organisation, members: [member] });
    return [{
      alarms: [{ badge: "change_point", ...own, ...change }, { badge: "too_exact", ...own, ...still }]
        .filter((_, at) => typeof [change, still][at] !== "string"),
      field: {
        node: toHex(member.node), name: member.name, organisation, windows: BigInt(releases.length),
        change_point: state(change), too_exact: state(still),
      },
    }];
  });
}

/** Of the sums by window: `not_tested`, `quiet`, or what the alarm says. */
function changePoint(view, releases) {
  const all = releases.map(({ window, ...one }) => ({ window, sum: view.headlineSum(addBlocks([one])) }));
  const newest = all.at(-1).sum.noise;
  const alike = all.filter(({ sum: { noise } }) => isAlike(noise, newest)).slice(-CHANGE_WINDOWS.most);
  const n = alike.length;
  if (n < CHANGE_WINDOWS.least) return "not_tested";
  const values = alike.map(({ sum }) => sum.value);
  const order = values.map((_, at) => at);
  const largest = [...order].sort((left, right) => compare(values[right], values[left]) || left - right);
  const smallest = [...order].sort((left, right) => compare(values[left], values[right]) || left - right);
  const limit = ratioOf(1n, 10_000n * 2n * BigInt(n - 1));
  let best = null;
  for (let m = n - 1; m >= 1; m--) {
    const [before, after] = [median(values.slice(0, n - m)), median(values.slice(n - m))];
    if (!isApart(before, after)) continue;
    for (const ranked of [largest, smallest]) {
      const J = ranked.slice(0, m).filter((at) => at >= n - m).length;
      const p = hypergeometricTail(n, m, J);
      if (compare(p, limit) > 0 || (best !== null && compare(p, best.p) >= 0)) continue;
      best = { p, said: { window: alike[n - m].window.text, before: view.shown(before), after: view.shown(after) } };
    }
  }
  return best === null ? "quiet" : best.said;
}

function isAlike(one, other) {
  const same = (draw, at) => isSame(draw.b, other.draws[at].b) && isSame(draw.step, other.draws[at].step) && draw.n === other.draws[at].n;
  return isSame(one.variance, other.variance) && one.draws.length === other.draws.length && one.draws.every(same);
}

function median(values) {
  const sorted = [...values].sort(compare);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : div(plus(sorted[middle - 1], sorted[middle]), whole(2));
}

/** One at least twice the other in size, or of the other sign. */
function isApart(before, after) {
  const [left, right] = [sizeOf(before), sizeOf(after)];
  const isTwice = compare(left, mul(whole(2), right)) >= 0 || compare(right, mul(whole(2), left)) >= 0;
  return isTwice || (before.top < 0n) !== (after.top < 0n);
}

const choices = new Map();

function choose(n, k) {
  if (k < 0 || k > n) return 0n;
  const name = `${n} ${k}`;
  if (!choices.has(name)) {
    let product = 1n;
    for (let at = 1; at <= k; at++) product = (product * BigInt(n - k + at)) / BigInt(at);
    choices.set(name, product);
  }
  return choices.get(name);
}

/** P(J or more) of m draws from n numbers of which m are marked. */
function hypergeometricTail(n, m, J) {
  let ways = 0n;
  for (let j = J; j <= m; j++) ways += choose(m, j) * choose(n - m, m - j);
  return ratioOf(ways, choose(n, m));
}

function tooExact(releases, where) {
  const newest = [...releases].reverse();
  const [near, all] = [[], STILL_CELLS.most];
  for (let at = 0; at + 1 < newest.length && near.length < all; at += 2) near.push(...comparedCells(newest[at], newest[at + 1], where));
  const cells = near.slice(0, all);
  if (cells.length < STILL_CELLS.least) return "not_tested";
  const N = cells.filter(Boolean).length;
  let ways = 0n;
  for (let k = N; k <= cells.length; k++) ways += choose(cells.length, k) * 3n ** BigInt(cells.length - k);
  const isAlarm = ways * 1_000_000n <= 4n ** BigInt(cells.length);
  return isAlarm ? { still: BigInt(N), of: BigInt(cells.length) } : "quiet";
}

/** Of each cell that two releases can be compared in, whether they lie near. */
function comparedCells(one, other, where) {
  const [vector, rival] = [one, other].map(({ release: { data, entry } }) => readCells(entry.cells, data.cellCount));
  const found = [];
  let [at, beside] = [0, 0];
  const [blocks, others] = [one, other].map(({ window }) => window.row.layout.blocks);
  const sizes = (release, order) => release.release.data.blocks[order].cells;
  blocks.forEach((block, order) => {
    const match = others[order];
    const size = sizes(one, order);
    const isAlikeBlock = match !== undefined && match.name === block.name && sizes(other, order) === size
      && isSame(match.sigma2, block.sigma2) && match.mechanism === block.mechanism;
    const d = isAlikeBlock ? nearness(block) : null;
    const [left, remains] = d === null ? [] : [[one, block], [other, match]].map(([{ window }, { axes }]) => cellsLeft(axes, window, where));
    for (let cell = 0; d !== null && cell < size; cell++) {
      if (left[cell] && remains[cell]) found.push(Math.abs(vector[at + cell] - rival[beside + cell]) <= d);
    }
    at += size;
    beside += match === undefined ? 0 : sizes(other, order);
  });
  return found;
}

/** Of each cell of a block, whether `where` leaves it. */
function cellsLeft(axes, window, where) {
  const inside = axes.map((axis) => ({ name: axis.name, labels: labelsIn(axis, window, null) }));
  return product(inside.map(({ labels }) => labels)).map((labels) => isLeft(inside, labels, where));
}

/** d, the largest whole number that two equal draws seldom lie within; null where there is none. */
function nearness({ sigma2, b }) {
  const holds = (d) => {
    const width = whole(2 * d + 1);
    if (b === undefined) return compare(mul(width, width), mul(ratioOf(785n, 1_000n), sigma2)) <= 0;
    return compare(mul(width, plus(whole(1), div(whole(1), mul(whole(4), mul(b, b))))), b) <= 0;
  };
  if (!holds(0)) return null;
  let d = 0;
  for (let step = 1 << 20; step >= 1; step >>= 1) while (holds(d + step)) d += step;
  return d;
}
