// Judgement of one summary, by a charter, what its log was charged and its definition: mesh.md 8.4, reasons in its order.
import { isEqual } from "./bytes.mjs";
import { readCells } from "./cells.mjs";
import { Refused, demand, refuse } from "./refused.mjs";
import { ceiling, compare, fromWire, isSame, mul, ratioOf, whole } from "./ratios.mjs";
import { isThreshold } from "./thresholds.mjs";
import { parseHour, parseWindow } from "./windows.mjs";

const NANO = whole(10 ** 9);
const ATTO = whole(10 ** 18);
const STRENGTH = { address: 0, session: 1, user: 2 };
const FITTING = { hour: ["day", "week", "month"], day: ["day", "week", "month"], week: ["week"], month: ["month"] };

/** Definitions whose bytes are not here, and those this software cannot compute. */
export const UNKNOWN = "waiting";
export const OPAQUE = "opaque";

/**
 * Refuses with the reason that voids it; else `counted`, or `waiting` or `opaque` where `definition` is that.
 * `charged`: what the ledger found (8.6), or null. `suspended`: spans of hours of the author, as Unix seconds.
 */
export function judgeSummary({ summary, vector, charter, member, definition, charged, suspended = [] }) {
  const window = parseWindow(summary.window);
  judgeRow(summary.definition, window, charter);
  demand(parseHour(member.counts_from) <= window.start, "before the member counts", "before_counts_from");
  const touches = suspended.some(({ from, until }) => window.start < until && from < window.end);
  demand(!touches, "the window touches hours of a suspension", "suspended");
  judgeEpoch(summary, window);
  if (charged !== null) refuse(charged, "what its log was charged");
  const cells = orReason("bad_cells", () => cellsOf(summary, vector));
  if (definition === UNKNOWN || definition === OPAQUE) return definition;
  judgeByDefinition(summary, window, definition, member, cells);
  return "counted";
}

/** The first two reasons, of an abstain too. */
export function judgeRow(hash, window, charter) {
  const rows = charter.catalogue.filter(({ definition }) => isEqual(definition, hash));
  demand(rows.length > 0, "the catalogue does not name this definition", "not_in_catalogue");
  demand(rows.some((row) => isInRow(row, window)), "no row of the definition holds the window", "outside_catalogue_row");
}

/** charter.md 2.5: from inclusive, until exclusive. */
export function isInRow({ from, until }, window) {
  return parseHour(from) <= window.start && (until === null || window.end <= parseHour(until));
}

function judgeEpoch({ charges }, window) {
  demand(charges.length === 1, "charges of several epochs", "not_one_epoch");
  const epoch = parseWindow(charges[0][0]);
  const isInside = epoch.start <= window.start && window.end <= epoch.end;
  const isFitting = FITTING[window.length].includes(epoch.length);
  demand(isInside && isFitting, "the window lies in no such epoch", "not_one_epoch");
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

