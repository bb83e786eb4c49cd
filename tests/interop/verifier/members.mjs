// Where each member stands in each window: answers.md 3.
import { toHex } from "./bytes.mjs";
import { byCodeUnit } from "./canonical.mjs";
import { parseHour } from "./windows.mjs";

const HOUR_S = 3_600;

/** Standings by member of the trusted charter: `of(member, window)` gives {standing, reason, releases}. */
export class Standings {
  constructor(decided, judged) {
    Object.assign(this, { decided, suspensions: judged.suspensions });
    this.slots = new Map();
    for (const { author, items, states } of judged.judges) {
      for (const { id, kind, data } of items) {
        if (data === undefined || (kind !== "summary" && kind !== "abstain")) continue;
        const name = slotOf(author, data);
        this.slots.set(name, [...(this.slots.get(name) ?? []), states.get(id)]);
      }
    }
  }

  of({ node, counts_from: from }, window) {
    const named = (definition) => this.slots.get(slotOf(toHex(node), { definition, window: window.text })) ?? [];
    const slot = [...named(window.row.definition), ...named(null)]; // null: by the prover's word (proofs.md 4.4)
    const [summaries, abstains] = ["summary", "abstain"].map((kind) => slot.filter((one) => one.kind === kind));
    const release = summaries.find(({ state }) => state === "counted");
    if (release !== undefined) return { standing: "included", release };
    const isExpected = parseHour(from) <= window.start;
    if (isExpected && touches(this.cutSpans(node), window)) return { standing: "excluded", reason: "cut" };
    if (isExpected && touches(this.suspensions.get(toHex(node)) ?? [], window)) return { standing: "excluded", reason: "suspended" };
    if (!isExpected) return { standing: null };
    const isOpen = summaries.some(({ state }) => state === "waiting" || state === "void: slot_conflict");
    const abstained = abstains.find(({ state }) => state === "counted");
    if (abstained !== undefined && !isOpen) return { standing: "abstained", reason: abstained.data.reason };
    const last = slot.filter(({ state }) => state.startsWith("void: ")).at(-1);
    if (last !== undefined) return { standing: "void", reason: last.state.slice("void: ".length) };
    return { standing: "missing", reason: "no_release" };
  }

  /** Hours in which the charters of the chain had it cut. */
  cutSpans(node) {
    const spans = [];
    for (const { created, members } of this.decided.chain) {
      const isCut = members.find((one) => toHex(one.node) === toHex(node))?.cut !== undefined;
      const hour = created - (created % HOUR_S);
      const open = spans.at(-1)?.until === Infinity;
      if (isCut && !open) spans.push({ from: hour, until: Infinity });
      if (!isCut && open) spans.at(-1).until = hour;
    }
    return spans;
  }
}

const slotOf = (author, { definition, window }) => `${author} ${definition === null ? "" : toHex(definition)} ${window}`;
const touches = (spans, { start, end }) => spans.some(({ from, until }) => start < until && from < end);

const STATES = ["withheld", "missing", "void", "included", "excluded", "abstained"];
const EXPECTED = ["included", "partial", "withheld", "missing", "void"];

/** `rows`: of each member asked, {member, standings: [{window, standing, reason, release}]}. */
export function membersField(rows) {
  const shown = rows.filter(({ standings }) => standings.some(({ standing }) => standing !== null));
  const members = shown.map(({ member, standings }) => {
    const included = standings.filter(({ standing }) => standing === "included");
    const units = included.map(({ release }) => release.data.unit);
    return {
      node: toHex(member.node),
      name: member.name,
      organisation: member.organisation,
      state: stateOf(standings.map(({ standing }) => standing)),
      windows: BigInt(included.length),
      person_keys: [...new Set(units)].sort(byCodeUnit),
      sampled: included.some(({ release: { data } }) => data.sampling[0] < data.sampling[1]),
      without: withoutOf(standings),
    };
  });
  const of = (states) => members.filter(({ state }) => states.includes(state)).length;
  return { members, reporting: `${of(["included"])} of ${of(EXPECTED)}` };
}

function stateOf(standings) {
  const isGap = ["withheld", "missing", "void"].some((state) => standings.includes(state)); // metrics.md 9.9
  if (standings.includes("included") && isGap) return "partial";
  return STATES.find((state) => standings.includes(state));
}

function withoutOf(standings) {
  const found = new Map();
  for (const { window, standing, reason } of standings) {
    if (standing === null || standing === "included") continue;
    const name = `${standing} ${reason}`;
    if (!found.has(name)) found.set(name, { standing, reason, windows: [] });
    found.get(name).windows.push(window.text);
  }
  return [...found.values()].sort((left, right) =>
    byCodeUnit(left.standing, right.standing) || byCodeUnit(left.reason, right.reason));
}
