// A question in, bytes out: answers.md.
import { createHash } from "node:crypto";
import { badgesOf } from "./badges.mjs";
import { toHex } from "./bytes.mjs";
import { byCodeUnit } from "./canonical.mjs";
import { consistent } from "./consistency.mjs";
import { figuresOf, isLarge, mediansOf } from "./figures.mjs";
import { Standings, membersField } from "./members.mjs";
import { demandFitting, readQuestion, windowsBefore } from "./questions.mjs";
import { compare, div, minus, mul, plus, ratioOf, whole } from "./ratios.mjs";
import { demand } from "./refused.mjs";
import { FINE, isWhole, numberOf, root, rounded, textOf } from "./rounding.mjs";
import { strays } from "./spread.mjs";
import { NOTHING, add, addBlocks, keysOf, less, nameOf, product, releaseSums } from "./sums.mjs";
import { thresholdOf } from "./thresholds.mjs";
import { parseWindow } from "./windows.mjs";

const PER_WINDOW = { hour: "person-hours", day: "person-days", week: "person-weeks", month: "person-months" };
const PER_UNIT = { user: "users", session: "sessions", address: "addresses" };
const OF_PEOPLE = ["people", "score", "retention"];
const COUNTS = { sum: "sum", journey: "moves", funnel: "furthest steps" };
const FINEST = ratioOf(1n, 10n ** 6n);

/** All that a member knows: `decided`, what judgeAll gave, and layouts by definition hash (hex). */
export class Commons {
  constructor(decided, judged, layouts) {
    Object.assign(this, { decided, judged, layouts, standings: new Standings(decided, judged) });
  }

  /** The fields of an answer; a refused question throws. */
  answer(metric, parameters) {
    const rows = this.rowsOf(metric);
    const newestReleased = this.newestReleased(rows);
    const question = readQuestion(metric, parameters, { tip: this.decided.tip, rows, newestReleased });
    return this.answerTo(question, rows);
  }

  /** Of a question that was read; `rows` are for those that compare. */
  answerTo(question, rows = []) {
    const { tip } = this.decided;
    demand(question.nodes === null || tip.min_organisations === 1, "members chosen", TOO_FEW);
    const view = this.view(question, question.windows);
    const fields = fieldsOf(view, question.isCompared ? this.compared(view, rows) : null);
    if (question.badges) fields.badges = badgesOf(view, tip.min_organisations > 1);
    return fields;
  }

  rowsOf(metric) {
    return this.decided.tip.catalogue.filter(({ name, definition }) => name === metric && this.layouts.has(toHex(definition)))
      .map((row) => ({ ...row, layout: this.layouts.get(toHex(row.definition)) }));
  }

  /** The newest window of the metric in which any release counts. */
  newestReleased(rows) {
    const own = new Set(rows.map(({ definition }) => toHex(definition)));
    const counted = this.judged.judges.flatMap(({ items, states }) => items.filter(({ id, kind, data }) =>
      kind === "summary" && data !== undefined && own.has(toHex(data.definition)) && states.get(id).state === "counted"));
    const windows = counted.map(({ data }) => parseWindow(data.window)).sort((left, right) => left.end - right.end);
    return windows.at(-1) ?? null;
  }

  view(question, windows) {
    demandFitting(windows, question.newest);
    const { members } = this.decided.tip;
    const chosen = members.filter(({ node }) => question.nodes === null || question.nodes.includes(toHex(node)));
    const rows = chosen.map((member) => ({
      member,
      standings: windows.map((window) => ({ window, ...this.standings.of(member, window) })),
    }));
    const first = question.isBack ? windows.findIndex((_, at) => rows.some(({ standings }) => isHeard(standings[at]))) : 0;
    const left = windows.slice(Math.max(first, 0));
    const cut = rows.map(({ member, standings }) => ({ member, standings: standings.slice(Math.max(first, 0)) }));
    return new View(question, left, withheld(cut, left, this.decided.tip), this.decided.tip);
  }

  /** 6.7. */
  compared(now, rows) {
    const before = this.view({ ...now.question, isBack: false }, windowsBefore({ windows: now.windows, kind: now.question.kind }, rows));
    return comparison(now, before);
  }
}

/** 2.3: a release, an abstain or a void entry. */
const isHeard = ({ standing }) => ["included", "abstained", "void"].includes(standing);

const TOO_FEW = "too_few_organisations";

/** metrics.md 9.9: windows in which too few organisations have a release. */
function withheld(rows, windows, { min_organisations: least }) {
  const isFew = windows.map((_, at) => {
    const homes = rows.filter(({ standings }) => standings[at].standing === "included").map(({ member }) => member.organisation);
    return new Set(homes).size < least;
  });
  const stand = (one, at) => (one.standing === "included" && isFew[at]
    ? { window: one.window, standing: "withheld", reason: TOO_FEW } : one);
  return rows.map(({ member, standings }) => ({ member, standings: standings.map(stand) }));
}

/** The same of a discovered key in a window that too few organisations name. */
function withoutFewKeys(releases, { min_organisations: least }) {
  const homes = (window, key) => new Set(releases.filter((one) => one.window === window && one.keys.includes(key))
    .map(({ member }) => member.organisation));
  return releases.map((one) => {
    const keys = one.keys.filter((key) => homes(one.window, key).size >= least);
    const isLeft = ([labels]) => JSON.parse(labels).length === 0 || keys.includes(JSON.parse(labels)[0]);
    const blocks = new Map([...one.blocks].map(([name, cells]) => [name, new Map([...cells].filter(isLeft))]));
    return { ...one, keys, blocks };
  });
}

/** The sums of some windows and members. */
export class View {
  constructor(question, windows, rows, tip) {
    Object.assign(this, { question, windows, rows, tip, level: question.level, isRaw: question.isRaw });
    this.layout = question.newest.layout;
    this.governing = (windows.at(-1)?.row ?? question.newest).layout; // alike in all windows but for privacy and question
    this.releases = windows.flatMap((_, at) => rows.flatMap(({ member, standings }) => {
      const { window, standing, release } = standings[at];
      return standing === "included" ? [{ member, window, release, ...releaseSums(release, window, question) }] : [];
    }));
    if (this.layout.isDiscovering && tip.min_organisations > 1) this.releases = withoutFewKeys(this.releases, tip);
    this.blocks = addBlocks(this.releases);
    this.keys = keysOf(this.releases);
    this.axes = this.axesLeft();
    const unit = this.layout.blocks.find(({ name }) => name === this.layout.headline).quantum;
    this.cells = this.releases.length === 0 ? [] : product(this.axes.map(({ labels }) => labels))
      .map((labels) => ({ labels, ...this.sum(this.layout.headline, labels) }));
    this.quantum = this.releases.length === 0 ? whole(1) : quantumOf(this.cells, unit, this.isRaw);
    this.unit = unit;
  }

  /** Of a block: those of `by` that are kept, with the newest row's labels, then its own (2.2). */
  axesLeft(block = this.layout.headline) {
    const { by, where } = this.question;
    if (block === "whole" || block === "clipped_people") return [];
    const isThere = ({ name }) => this.releases.length === 0 || this.governing.by.some((axis) => axis.name === name);
    const kept = this.layout.by.filter((axis) => by.includes(axis.name) && isThere(axis)).map(({ name, labels }) => ({
      name, labels: labels === null ? this.keys : labels.filter((label) => where?.get(name)?.includes(label) ?? true),
    }));
    return block === this.layout.kind ? [...kept, ...this.layout.own] : kept;
  }

  sum(block, labels) {
    return this.blocks.get(block)?.get(nameOf(labels)) ?? NOTHING;
  }

  /** Of the axes of `by` that are kept. */
  groups() {
    const axes = this.axes.filter(({ name }) => this.question.by.includes(name));
    return this.releases.length === 0 ? [] : product(axes.map(({ labels }) => labels)).map((labels) => ({ labels, key: keyOf(axes, labels) }));
  }

  /** What decides whether a cell is shown: it, or the sum of its group (answers.md 5). */
  isShown({ labels, ...sum }) {
    const { kind, headline } = this.layout;
    if (kind === "sum") return true;
    if (kind === "retention") return isLarge(this.sum(headline, [...labels.slice(0, -1), "0"]));
    if (kind !== "histogram" && kind !== "funnel") return isLarge(sum);
    const group = labels.slice(0, -1);
    return isLarge(add(...this.layout.own[0].labels.map((label) => this.sum(headline, [...group, label]))));
  }

  /** 4.3 */
  number({ value, noise }) {
    const w = root(strays(noise, this.level), div(this.quantum, whole(FINE)));
    const [estimate, lower, upper] = [value, minus(value, w), plus(value, w)].map((one) => rounded(one, this.quantum));
    const size = estimate.top < 0n ? minus(whole(0), estimate) : estimate;
    return {
      estimate: numberOf(estimate, this.quantum),
      lower: numberOf(lower, this.quantum),
      upper: numberOf(upper, this.quantum),
      sigma: textOf(root(noise.variance, FINEST), 6),
      wide: compare(mul(whole(2), minus(upper, lower)), size) > 0,
    };
  }

  keyOf(labels) {
    return keyOf(this.axes, labels);
  }

  shown(value) {
    return numberOf(rounded(value, this.quantum), this.quantum);
  }

  /** Of the headline block in one sum: of retention age 0 alone. */
  headlineSum(blocks = this.blocks) {
    const cells = [...(blocks.get(this.layout.headline) ?? [])];
    const left = this.layout.kind === "retention" ? cells.filter(([labels]) => JSON.parse(labels).at(-1) === "0") : cells;
    return add(NOTHING, ...left.map(([, sum]) => sum));
  }

  hasKeys() {
    return !this.layout.isDiscovering || this.keys.length > 0;
  }
}

export const keyOf = (axes, labels) => Object.fromEntries(axes.map(({ name }, at) => [name, labels[at]]));

/** 4.4 */
function quantumOf(cells, unit, isRaw) {
  if (isRaw) return unit;
  const square = mul(unit, unit);
  const variances = cells.map(({ noise }) => div(noise.variance, square)).filter(({ top }) => top > 0n);
  if (variances.length === 0) return unit;
  const least = variances.reduce((left, right) => (compare(left, right) <= 0 ? left : right));
  const isFitting = (k) => compare(whole(4n * k * k), least) <= 0;
  let best = 1n;
  for (let power = 1n; isFitting(power); power *= 10n) for (const k of [1n, 2n, 5n]) if (isFitting(k * power)) best = k * power;
  return mul(unit, whole(best));
}

// ---- fields, 5 ------------------------------------------------------------------------------------------------------

function fieldsOf(view, compare_) {
  const { question, layout, windows, tip } = view;
  const { where, nodes } = question;
  const isAny = view.releases.length > 0;
  const wholeSum = isAny && where === null && view.blocks.has("whole") ? view.sum("whole", []) : null;
  const clipped = isAny && view.blocks.has("clipped_people") ? view.sum("clipped_people", []) : null;
  const found = consistent(layout, view.cells, wholeSum, where);
  const fields = {
    schema: "murmur.answer/1",
    identity: identityOf(view),
    metric: question.metric,
    question: question.newest.layout.tree.question,
    measure: question.newest.layout.kind,
    counts: countsOf(view),
    definitions: [...new Set(windows.map(({ row }) => toHex(row.definition)))].sort(byCodeUnit),
    charter: { version: BigInt(tip.version), hash: toHex(tip.hash) },
    windows: {
      kind: question.kind, count: BigInt(windows.length), first: windows[0]?.text ?? null, last: windows.at(-1)?.text ?? null,
    },
    by: question.by,
    level: question.level,
    raw: question.isRaw,
    dimensions: view.axes.map(({ name, labels }) => ({ name, labels })),
    mechanisms: sorted(view.releases.flatMap(({ release }) => release.data.blocks.map(({ mechanism }) => mechanism))),
    person_keys: sorted(view.releases.map(({ release }) => release.data.unit)),
    notes: notesOf(view),
    quantum: String(numberOf(view.quantum, view.quantum)),
    cells: view.cells.flatMap((cell, at) => {
      const isShown = view.isShown(cell);
      const { noise, value, labels } = cell;
      const one = { key: keyOf(view.axes, labels), ...view.number({ value, noise }), shown: isShown, consistent: view.shown(found.cells[at]) };
      return isShown || view.isRaw ? [one] : [];
    }),
    consistency: { rule: found.rule, status: found.status, adjusted: BigInt(found.adjusted) },
    hidden: hiddenOf(view),
    total: isAny && view.hasKeys() ? view.number(view.headlineSum()) : null,
    series: seriesOf(view),
    medians: mediansOf(view),
    figures: figuresOf(view),
    ranking: rankingOf(view),
    clipped: clipped && view.number(clipped),
    whole: wholeSum && { ...view.number(wholeSum), consistent: view.shown(found.whole) },
    ...membersField(view.rows),
  };
  if (layout.isDiscovering) fields.discovered = discoveredOf(view);
  if (where !== null) fields.where = whereField(where);
  if (nodes !== null) fields.nodes = nodes;
  if (compare_ !== null) fields.compare = compare_;
  if (tip.min_organisations > 1) fields.withheld = withheldField(view);
  return fields;
}

function withheldField({ rows, windows, tip }) {
  const isFew = (_, at) => rows.some(({ standings }) => standings[at].standing === "withheld");
  return { code: TOO_FEW, organisations: BigInt(tip.min_organisations), windows: windows.filter(isFew).map(({ text }) => text) };
}

const sorted = (texts) => [...new Set(texts)].sort(byCodeUnit);
const whereField = (where) => Object.fromEntries(where);

function countsOf({ layout: { kind }, windows, releases, question }) {
  if (!OF_PEOPLE.includes(kind)) return COUNTS[kind] ?? "events";
  if (windows.length > 1) return PER_WINDOW[question.kind];
  const units = sorted(releases.map(({ release }) => release.data.unit));
  return units.length === 1 ? PER_UNIT[units[0]] : "person keys";
}

function notesOf({ layout, windows, releases }) {
  const isOfPeople = OF_PEOPLE.includes(layout.kind);
  const members = new Set(releases.map(({ member }) => member.name));
  const holds = {
    people_per_cell: isOfPeople && layout.maxCells > 1n && layout.by.length > 0,
    people_per_window: isOfPeople && windows.length > 1,
    people_per_platform: isOfPeople && members.size > 1,
    sampled: releases.some(({ release: { data } }) => data.sampling[0] < data.sampling[1]),
    discovered: layout.isDiscovering,
  };
  return Object.keys(holds).filter((note) => holds[note]);
}

function hiddenOf(view) {
  const cells = view.cells.filter((cell) => !view.isShown(cell));
  return cells.length === 0 ? null : { cells: BigInt(cells.length), ...view.number(add(...cells)) };
}

/** 6.2 */
const isReal = ({ value, noise }, level) => compare(mul(value, value), strays(noise, level)) > 0;

/** 6.3 */
function seriesOf(view) {
  if (view.layout.kind === "retention") return [];
  let before = null;
  return view.windows.flatMap((window) => {
    const releases = view.releases.filter((release) => release.window.text === window.text);
    if (releases.length === 0) {
      before = null;
      return [];
    }
    const now = { sum: view.headlineSum(addBlocks(releases)), names: releases.map(({ member }) => member.name).join() };
    const isAlike = before !== null && before.names === now.names && !view.layout.isDiscovering;
    const change = isAlike ? (isReal(less(now.sum, before.sum), view.level) ? "real" : "could_be_noise") : null;
    before = now;
    return [{ window: window.text, ...view.number(now.sum), change }];
  });
}

/** 6.6 */
function rankingOf(view) {
  if (view.layout.kind !== "top") return [];
  const isNamed = ({ labels }) => view.layout.isDiscovering || !labels.some((label) => label === "other" || label === "none");
  const left = view.cells.filter((cell) => view.isShown(cell) && isNamed(cell))
    .sort((one, other) => compare(other.value, one.value));
  return left.slice(0, Number(view.layout.tree.measure.top)).map((cell, at) => ({
    rank: BigInt(at + 1),
    key: keyOf(view.axes, cell.labels),
    ...view.number(cell),
    ahead: at + 1 < left.length ? isReal(less(cell, left[at + 1]), view.level) : null,
  }));
}

function discoveredOf(view) {
  const { layout, releases, tip, keys } = view;
  const own = (key) => tip.members.filter(({ name }) => releases.some((one) => one.member.name === name && one.keys.includes(key)));
  const of = new Set(releases.map(({ member }) => member.name)).size;
  return {
    dimension: layout.by[0].name,
    delta: `${layout.delta.top}/${layout.delta.bottom}`,
    threshold: thresholdOf(layout.blocks[0], layout.delta, layout.maxCells),
    keys: keys.map((key) => ({ key, members: own(key).map(({ name }) => name), of: BigInt(of) })),
  };
}

// ---- compare, 6.7 ---------------------------------------------------------------------------------------------------

function comparison(now, before) {
  const isSame = now.rows.every(({ standings }, at) => included(standings) === included(before.rows[at].standings));
  const isAny = now.releases.length > 0 && before.releases.length > 0;
  const quantum = quantumOf([...now.cells, ...before.cells], now.unit, now.isRaw);
  const row = (one, other) => differenceOf(one, other, quantum, now, isSame);
  const isAlike = ({ labels: [key] }) => !now.layout.isDiscovering || namers(now, key) === namers(before, key);
  const earlier = new Set(before.cells.map(({ labels }) => nameOf(labels)));
  const cells = now.cells.filter((cell) => earlier.has(nameOf(cell.labels)) && isAlike(cell)).map((cell) => ({
    key: keyOf(now.axes, cell.labels), ...row(cell, before.sum(now.layout.headline, cell.labels)),
  }));
  return {
    windows: before.windows.map(({ text }) => text),
    identity: identityOf(before),
    same_members: isSame,
    cells: isAny ? cells : [],
    total: isAny && !now.layout.isDiscovering ? row(now.headlineSum(), before.headlineSum()) : null,
  };
}

const included = (standings) => standings.filter(({ standing }) => standing === "included").length;
const namers = ({ releases }, key) =>
  [...new Set(releases.filter(({ keys }) => keys.includes(key)).map(({ member }) => toHex(member.node)))].sort().join();

function differenceOf(one, other, quantum, { level }, isSame) {
  const difference = less(one, other);
  const w = root(strays(difference.noise, level), div(FINEST, whole(FINE)));
  const written = (value) => {
    const number = rounded(value, quantum);
    return isWhole(quantum) ? number.top : textOf(number, 6);
  };
  const verdict = isReal(difference, level) ? "real" : "could_be_noise";
  return {
    before: written(other.value),
    difference: written(difference.value),
    lower: written(minus(difference.value, w)),
    upper: written(plus(difference.value, w)),
    verdict: isSame ? verdict : null,
  };
}

// ---- identity, 7, and bytes, 1 --------------------------------------------------------------------------------------

function identityOf(view) {
  const { metric, by, level, isRaw, where, nodes } = view.question;
  const asked = {
    metric, by, level, raw: isRaw, windows: view.windows.map(({ text }) => text),
    ...(where && { where: whereField(where) }), ...(nodes && { nodes }),
  };
  const releases = view.releases.map(({ release }) => toHex(release.data.release)).sort(byCodeUnit);
  const made = view.tip.min_organisations > 1 ? [blocksTold(view), standingsTold(view)] : releases;
  return sha256(`murmur answer identity 1\n${jsonOf([toHex(view.tip.hash), asked, made])}`);
}

/** metrics.md 9.9, in the place of release ids: sums and standings. */
function blocksTold(view) {
  if (view.releases.length === 0) return [];
  return view.layout.blocks.map(({ name }) => {
    const axes = view.axesLeft(name);
    const sums = product(axes.map(({ labels }) => labels)).map((labels) => view.sum(name, labels).value);
    return [name, axes.map((axis) => [axis.name, ...axis.labels]), sums.map(ratioText)];
  });
}

const ratioText = ({ top, bottom }) => (bottom === 1n ? `${top}` : `${top}/${bottom}`);
const standingsTold = ({ rows }) => rows.map(({ member, standings }) => [toHex(member.node), standings.map(({ standing }) => standing)]);

export const sha256 = (text) => createHash("sha256").update(text, "ascii").digest("hex");

/** 1.1: keys ascending, no spaces, ASCII, whole numbers and texts. */
export function jsonOf(value) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return jsonText(value);
  if (Array.isArray(value)) return `[${value.map(jsonOf).join()}]`;
  if (typeof value !== "object") throw new TypeError(`${typeof value} in an answer`);
  return `{${Object.keys(value).sort(byCodeUnit).map((key) => `${jsonText(key)}:${jsonOf(value[key])}`).join()}}`;
}

function jsonText(text) {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
