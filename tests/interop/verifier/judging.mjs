// What each entry of all logs is worth: mesh.md 8.4 to 8.6.
import { toHex } from "./bytes.mjs";
import { parseData } from "./entries.mjs";
import { OPAQUE, UNKNOWN, judgeRow, judgeSummary } from "./judgement.mjs";
import { Ledger } from "./ledger.mjs";
import { Refused, demand } from "./refused.mjs";
import { suspensionsOf } from "./suspensions.mjs";
import { parseWindow } from "./windows.mjs";

const KEY_KINDS = ["inception", "rotate", "recover"];
const RESERVED = ["withdraw", "retire"];
const SLOT_ENTRIES = 64;

/**
 * States by entry id (hex): {state, entry, data}. `logs`: admitted. `definitions`: hash (hex) to a compiled one, or
 * `opaque`; of one that is missing the bytes are not here. Also `suspensions`, and the `slots` of each author.
 */
export function judgeAll(logs, definitions) {
  const { decided } = logs;
  const judges = [...logs.byAuthor.values()].map((log) => new Judge(decided, log, definitions));
  for (const judge of judges) judge.read();
  const said = judges.flatMap((judge) => judge.said());
  const suspensions = suspensionsOf(decided, said);
  for (const judge of judges) judge.judge(suspensions.get(judge.author) ?? []);
  return { states: new Map(judges.flatMap((judge) => [...judge.states])), suspensions, judges };
}

class Judge {
  constructor(decided, log, definitions) {
    Object.assign(this, { decided, log, definitions, author: toHex(log.node), states: new Map() });
    this.slots = new Map(); // "definition window" to its entries in form, in order
    for (const [id, reason] of log.voids) this.states.set(id, { state: `void: ${reason}`, entry: log.known.get(id).entry });
  }

  /** Everything that does not depend on other entries but those before it: what each is, or that its data are good. */
  read() {
    const { line, cut } = this.log;
    const isOver = cut !== null && this.decided.isRemoved(this.log.node);
    let newest = 0;
    this.items = line.map(({ id, seq, kind, entry }) => {
      const version = entry.header.charter_version;
      const item = { id, kind, entry, hasFallen: version < newest };
      newest = Math.max(newest, version);
      return { ...item, ...this.readOne(item, isOver && seq > cut.seq) };
    });
  }

  readOne({ kind, entry, hasFallen }, isBeyondCut) {
    const isLater = entry.header.charter_version > this.decided.tip.version && !KEY_KINDS.includes(kind);
    if (isLater) return { state: "opaque" };
    if (isBeyondCut) return { state: "void: cut" };
    if (KEY_KINDS.includes(kind)) return { state: hasFallen ? "void: charter_version_fell" : "counted" };
    if (RESERVED.includes(kind)) return { state: "opaque" };
    const fallen = hasFallen ? "void: charter_version_fell" : undefined;
    try {
      const data = parseData(kind, entry.data, entry.header.author);
      return data === null ? { state: "opaque" } : { data, state: fallen };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { state: error.code === "unknown-version" ? "opaque" : fallen ?? "void: malformed" };
    }
  }

  /** Counted proposals and approvals. */
  said() {
    return this.items.filter(({ kind, state, data }) => ["propose", "approve"].includes(kind) && data && !state)
      .map(({ data }) => data);
  }

  judge(suspended) {
    const ledger = new Ledger((epoch) => this.decided.capOf(epoch));
    const member = this.decided.member(this.log.node);
    for (const item of this.items) {
      const state = this.stateOf(item, { ledger, member, suspended });
      this.states.set(item.id, { ...item, state });
    }
    for (const slot of this.slots.values()) this.judgeSlot(slot.slice(0, SLOT_ENTRIES).map(({ id }) => this.states.get(id)));
  }

  stateOf({ kind, data, state, entry, id }, { ledger, member, suspended }) {
    if (data === undefined) return state;
    const charged = kind === "summary" ? ledger.add(data) : null;
    if (kind === "summary" || kind === "abstain") {
      const slot = this.slotOf(data);
      slot.push({ id });
      if (slot.length > SLOT_ENTRIES) return "void: slot_full";
    }
    const worth = orVoid(() => this.worth(kind, data, entry, { charged, member, suspended }));
    return worth === OPAQUE ? worth : state ?? worth;
  }

  worth(kind, data, entry, { charged, member, suspended }) {
    const charter = this.decided.tip;
    if (kind === "endpoint") {
      const isOpen = charter.allow_private || !data.endpoints.some(({ isPrivate }) => isPrivate);
      demand(isOpen, "a private endpoint", "private_endpoint");
    }
    if (kind === "abstain") judgeRow(data.definition, parseWindow(data.window), charter);
    if (kind !== "summary") return "counted";
    const definition = this.definitions.get(toHex(data.definition)) ?? UNKNOWN;
    return judgeSummary({ summary: data, vector: entry.cells, charter, member, definition, charged, suspended });
  }

  slotOf({ definition, window }) {
    const name = `${toHex(definition)} ${window}`;
    if (!this.slots.has(name)) this.slots.set(name, []);
    return this.slots.get(name);
  }

  /** 8.5, of the first 64. */
  judgeSlot(slot) {
    const speaks = ({ kind, state }) => kind === "summary" && (state === "counted" || state === UNKNOWN);
    const releases = slot.filter(({ kind, state }) => kind === "summary" && state === "counted");
    const isInConflict = new Set(releases.map(({ data }) => toHex(data.release))).size > 1;
    let [before, hasAbstained] = [[], false];
    for (const one of slot) {
      if (speaks(one)) before.push(one.state);
      if (one.kind === "abstain" && one.state === "counted") {
        if (before.includes("counted")) one.state = "void: follows_summary";
        else if (hasAbstained) one.state = "void: follows_abstain";
        else if (before.includes(UNKNOWN)) one.state = UNKNOWN;
        hasAbstained = true;
      }
    }
    if (isInConflict) for (const one of releases) one.state = "void: slot_conflict";
  }
}

function orVoid(judge) {
  try {
    return judge();
  } catch (error) {
    if (error instanceof Refused) return `void: ${error.code}`;
    throw error;
  }
}
