// Judgement of one summary, as far as a charter, its definition and the author's earlier summaries decide: mesh.md 8.4.
//
// Reasons come in the order of 8.4. Left out: suspensions and everything between entries (slots, forks, lines, cuts).
import { isEqual, toHex } from "./bytes.mjs";
import { readCells } from "./cells.mjs";
import { Refused, demand, refuse } from "./refused.mjs";
import { ceiling, compare, floor, fromWire, isSame, mul, ratioOf, whole } from "./ratios.mjs";
import { isThreshold } from "./thresholds.mjs";
import { parseHour, parseWindow } from "./windows.mjs";

const DAY_S = 86_400;
const NANO = whole(10 ** 9);
const ATTO = whole(10 ** 18);
const DELTA_ATTO_A_DAY = 10n ** 10n; // 8.6: 10^-8 for each day of the epoch
const STRENGTH = { address: 0, session: 1, user: 2 };
const FITTING = { hour: ["day", "week", "month"], day: ["day", "week", "month"], week: ["week"], month: ["month"] };

/** Refuses with the reason that voids it. `before`: the author's earlier summaries, parsed, in log order. */
export function judgeSummary({ summary, vector, charter, member, definition, before }) {
  const window = parseWindow(summary.window);
  judgeByCharter(summary, window, charter, member);
  judgeCharges(summary, window, charter, before);
  const cells = orReason("bad_cells", () => cellsOf(summary, vector));
  judgeByDefinition(summary, window, definition, member, cells);
}

function orReason(reason, read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refused) refuse(reason, error.message);
    throw error;
  }
}

function cellsOf(summary, vector) {
  if (summary.isKeyed && summary.keys.length === 0) return [];
  demand(vector !== null, "no cells");
  return readCells(vector, summary.cellCount);
}

function judgeByCharter(summary, window, charter, member) {
  const rows = charter.catalogue.filter(({ definition }) => isEqual(definition, summary.definition));
  demand(rows.length > 0, "the catalogue does not name this definition", "not_in_catalogue");
  const isOver = (until) => until !== null && window.end > parseHour(until);
  const isInside = ({ from, until }) => parseHour(from) <= window.start && !isOver(until);
  demand(rows.some(isInside), "no row of the definition holds the window", "outside_catalogue_row");
  demand(parseHour(member.counts_from) <= window.start, "before the member counts", "before_counts_from");
}

// ---- charges, 8.6 ---------------------------------------------------------------------------------------------------

function judgeCharges(summary, window, charter, before) {
  demand(summary.charges.length === 1, "charges of several epochs", "not_one_epoch");
  const [[epochText, rho, delta]] = summary.charges;
  const epoch = parseWindow(epochText);
  const isInside = epoch.start <= window.start && window.end <= epoch.end;
  const isFitting = FITTING[window.length].includes(epoch.length);
  demand(isInside && isFitting, "the window lies in no such epoch", "not_one_epoch");
  demandNoOverlap(epoch, before);
  const explained = explainedBy(before, summary, epochText);
  const [, totalRho, totalDelta] = summary.total[0];
  const isEnoughRho = BigInt(totalRho) >= explained.rho + BigInt(rho);
  const isEnoughDelta = BigInt(totalDelta) >= explained.delta + BigInt(delta);
  demand(isEnoughRho && isEnoughDelta, "a total below what the log explains", "total_mismatch");
  const days = BigInt((epoch.end - epoch.start) / DAY_S);
  const cap = floor(mul(fromWire(charter.caps[epoch.length]), NANO));
  demand(BigInt(totalRho) <= cap && BigInt(totalDelta) <= DELTA_ATTO_A_DAY * days, "a total above the cap", "over_cap");
}

function demandNoOverlap(epoch, before) {
  const others = before.flatMap(({ charges }) => charges.map(([text]) => text)).filter((text) => text !== epoch.text);
  const overlaps = (other) => other.start < epoch.end && epoch.start < other.end;
  demand(!others.map((text) => parseWindow(text)).some(overlaps), "charged epochs that overlap", "epoch_overlap");
}

/** Each release charges once, this one not yet. */
function explainedBy(before, summary, epochText) {
  const seen = new Set([toHex(summary.release)]);
  const sum = { rho: 0n, delta: 0n };
  for (const other of before) {
    const id = toHex(other.release);
    for (const [epoch, rho, delta] of seen.has(id) ? [] : other.charges) {
      if (epoch !== epochText) continue;
      sum.rho += BigInt(rho);
      sum.delta += BigInt(delta);
    }
    seen.add(id);
  }
  return sum;
}

// ---- the definition, 8.4 and 5.7 ------------------------------------------------------------------------------------

function judgeByDefinition(summary, window, definition, member, cells) {
  const { blocks } = definition;
  demand(window.length === definition.window, "a window of another length", "window_mismatch");
  demand(summary.isKeyed === definition.isDiscovering, "keys exactly where the definition discovers", "keys_mismatch");
  const cellsOfBlock = (block) => (summary.isKeyed ? summary.keys.length : block.cells);
  const pairs = summary.blocks.map((stated, at) => [stated, blocks[at]]);
  const isAsMany = summary.blocks.length === blocks.length;
  const isOfAll = (holds) => isAsMany && pairs.every(([stated, block]) => holds(stated, block));
  const reasons = [
    ["cells_mismatch", (stated, block) => stated.cells === cellsOfBlock(block)],
    ["mechanism_mismatch", (stated, block) => stated.mechanism === block.mechanism],
    ["quantum_mismatch", (stated, block) => isSame(fromWire(stated.quantum), block.quantum)],
    ["sigma_mismatch", (stated, block) => isSame(fromWire(stated.sigma2), block.sigma2)],
  ];
  for (const [reason, holds] of reasons) demand(isOfAll(holds), "not what the definition demands", reason);
  const [[, rho, delta]] = summary.charges;
  const price = [ceiling(mul(definition.rho, NANO)), ceiling(mul(definition.delta, ATTO))];
  demand(BigInt(rho) === price[0] && BigInt(delta) === price[1], "not the definition's price", "charge_mismatch");
  const weakest = definition.unit ?? "address";
  demand(STRENGTH[summary.unit] >= STRENGTH[weakest], "a person key weaker than the definition takes", "unit_too_weak");
  if (definition.isDiscovering) judgeKeys(summary, definition, member, cells);
}

function judgeKeys(summary, definition, member, cells) {
  const most = member.population === undefined ? null : ratioOf(1n, 10n * BigInt(member.population));
  demand(most === null || compare(definition.delta, most) <= 0, "a delta above 1/(10 people)", "delta_too_large");
  const people = cells.slice(0, summary.keys.length);
  const isShown = (cell) => isThreshold(definition.blocks[0], definition.delta, definition.maxCells, BigInt(cell));
  demand(people.every(isShown), "a key with too few people", "below_threshold");
}

