// Bundles of answers: specs/proofs.md 4. The answer is computed anew from the entries that are shipped.
import { Commons, jsonOf } from "./answers.mjs";
import { isBytes, isEqual, toHex } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { parseData, parseEntry } from "./entries.mjs";
import { boolean, demandVersion, hash, humanText, integer, list, name, oneOf, record, tuple } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { verifyInception } from "./inception.mjs";
import { UNKNOWN, judgeRow, judgeSummary } from "./judgement.mjs";
import { layoutOf } from "./layouts.mjs";
import { Ledger } from "./ledger.mjs";
import {
  MAX_BUNDLE_BYTES, NOT_GIVEN, Shown, any, chainOf, demandCharged, demandFromItsNode, demandInForce, federationOf, keysOf,
  otherOf, part, summaryOf,
} from "./proofs.mjs";
import { settled } from "./questions.mjs";
import { demand, refuse } from "./refused.mjs";
import { parseWindow, windowText } from "./windows.mjs";

const PARTS = 10;
const HOUR_S = 3_600;
const MOST = 65_536; // no canonical value holds more (mesh.md 1.3)
const text = (value, field) => (typeof value === "string" ? value : refuse("malformed", `${field}: no text`));
const raw = (value) => value;
const LISTS = {
  definitions: list(any, 0, 1_000),
  authors: list(raw, 0, 1_000),
  items: list(raw, 0, MOST),
  voided: list(tuple(hash, windowText, text), 0, MOST),
  suspended: list(tuple(hash, integer(), integer()), 0, MOST),
};
const QUESTION = {
  by: list(text, 0, 64),
  level: oneOf("0.80", "0.95", "0.99"),
  metric: name,
  nodes: list(hash, 0, 1_000),
  raw: boolean,
  where: list(tuple(humanText(4_096), list(humanText(4_096), 1, 65_536)), 0, 64),
  windows: list((value, field) => parseWindow(value, field), 0, 1_000),
};

/** What the bundle proves: `fields` of the answer, how many entries are `speaking`, how many `others`. */
export function verifyAnswerProof(bytes, given = null) {
  const parts = part("form", () => parseForm(bytes));
  const federation = part("federation id", () => federationOf(parts, given));
  const decided = part("charter", () => chainOf(parts, federation));
  const layouts = part("definition", () => layoutsOf(LISTS.definitions(parts.definitions, "definitions")));
  const ofMembers = (rows) => rows.filter(([node]) => decided.member(node) === undefined).length === 0;
  const voided = part("voided slots", () => LISTS.voided(parts.voided, "voided slots"));
  part("voided slots", () => demand(ofMembers(voided), "of a node the last charter does not name"));
  const suspended = part("suspensions", () => LISTS.suspended(parts.suspended, "suspensions"));
  part("suspensions", () => demand(ofMembers(suspended), "of a node the last charter does not name"));
  const spans = spansOf(suspended);
  const judges = [];
  for (const author of part("authors", () => LISTS.authors(parts.authors, "authors"))) {
    judges.push(authorOf(author, judges, { federation, decided, spans, layouts }));
  }
  const spoken = judges.flatMap(({ items }) => items.filter(({ isSpeaking }) => isSpeaking));
  for (const [node, window, reason] of voided) addVoid(judges, toHex(node), window, reason);
  const commons = new Commons(decided, { judges, suspensions: spans }, layouts);
  const question = part("question", () => questionOf(parts.question, commons));
  part("entries", () => spoken.forEach(({ data }) => demandAsked(data, question)));
  const fields = part("question", () => commons.answerTo(question));
  part("answer", () => demandStated(fields, any(parts.answer, "answer")));
  const others = judges.flatMap(({ items }) => items).length - voided.length - spoken.length;
  return { federation, charter: decided.tip, fields, speaking: spoken.length, others };
}

function parseForm(bytes) {
  const outer = decode(bytes, MAX_BUNDLE_BYTES);
  demand(Array.isArray(outer) && outer.length >= 1, "no array");
  demandVersion(outer[0]);
  demand(outer.length === PARTS, "not ten parts");
  const [, word, federation, charters, definitions, question, answer, authors, voided, suspended] = outer;
  oneOf("answer")(word, "form");
  return { federation, charters, definitions, question, answer, authors, voided, suspended };
}

const layoutsOf = (bodies) => new Map(bodies.map((body) => [toHex(idOf("definition", body)), layoutOf(body)]));

// ---- one author -----------------------------------------------------------------------------------------------------

function authorOf(author, before, { federation, decided, spans, layouts }) {
  const [record_, documents, list_] = part("authors", () => tuple(raw, raw, raw)(author, "author"));
  const inception = part("inception record", () => verifyInception(any(record_, "inception")));
  const member = decided.member(inception.node);
  part("inception record", () => demand(member !== undefined, "of a node the last charter does not name"));
  const [chain, changes] = part("key chain", () => keysOf(documents, inception, federation, decided));
  part("authors", () => demand(before.every((other) => other.author !== toHex(chain.node)), "one twice"));
  const items = part("entries", () => LISTS.items(list_, "items"));
  const judge = new ItemJudge({ decided, member, chain, changes, layouts, suspended: spans.get(toHex(chain.node)) });
  for (const item of items) part(isBytes(item) ? "entries" : "other summaries", () => judge.take(item));
  part("other summaries", () => demandBefore(judge.items));
  return { author: toHex(chain.node), items: judge.items, states: judge.states };
}

/** Each charges an epoch of a summary that speaks, and stands before the last of these. */
function demandBefore(items) {
  const speaking = items.filter(({ kind, isSpeaking }) => isSpeaking && kind === "summary");
  const epochs = new Set(speaking.flatMap(({ data }) => data.charges.map(([epoch]) => epoch)));
  const end = items.indexOf(speaking.at(-1));
  items.forEach(({ data, isSpeaking }, at) => {
    if (!isSpeaking) demand(at < end && data.charges.some(([epoch]) => epochs.has(epoch)), "charges another epoch, or comes too late");
  });
}

/** Reads and judges the items of one author, each after those before it. */
class ItemJudge {
  constructor(means) {
    const { decided, changes } = means;
    Object.assign(this, means, { items: [], states: new Map(), slots: new Set(), last: -1 });
    this.ledger = new Ledger((epoch) => decided.capOf(epoch));
    this.shown = new Shown(decided, changes);
  }

  take(bytes) {
    const isSpeaking = isBytes(bytes);
    const entry = isSpeaking ? parseEntry(bytes) : otherOf(bytes);
    demandFromItsNode(entry.header, this.chain.federation, this.chain);
    demand(entry.header.seq > this.last, "out of order");
    this.last = entry.header.seq;
    demandInForce(entry, this.chain);
    const { kind, charter_version: version } = entry.header;
    demand(kind === "summary" || (isSpeaking && kind === "abstain"), "neither a summary nor an abstention");
    const data = kind === "summary" ? summaryOf(entry, this.chain.node) : parseData(kind, entry.data, this.chain.node);
    demand(!isSpeaking || version <= this.decided.tip.version, "under a charter that is not here", "opaque");
    this.shown.demandStanding(entry);
    const charged = kind === "summary" ? this.ledger.add(data) : null;
    const item = { id: toHex(idOf("entry", entry.headerBytes)), kind, entry, data, isSpeaking };
    this.items.push(item);
    if (isSpeaking) this.judge(item, charged);
    else demandCharged(charged);
  }

  judge(item, charged) {
    const { kind, entry, data } = item;
    const { decided: { tip: charter }, member, suspended } = this;
    const slot = `${toHex(data.definition)} ${data.window}`;
    demand(!this.slots.has(slot), "two entries of one slot");
    this.slots.add(slot);
    const definition = this.layouts.get(toHex(data.definition));
    if (kind === "abstain") judgeRow(data.definition, parseWindow(data.window), charter);
    else {
      const worth = judgeSummary({ summary: data, vector: entry.cells, charter, member, definition: definition ?? UNKNOWN, charged, suspended });
      demand(worth === "counted", "its definition is not here");
    }
    this.states.set(item.id, { ...item, state: "counted" });
  }
}

/** A slot whose entries were voided, by the prover's word: as an entry that is not shown, of whatever definition. */
function addVoid(judges, author, window, reason) {
  const state = { kind: "summary", state: `void: ${reason}` };
  judges.push({ author, items: [{ id: "voided", kind: "summary", data: { definition: null, window } }], states: new Map([["voided", state]]) });
}

function spansOf(suspended) {
  const spans = new Map();
  for (const [node, from, until] of suspended) {
    const before = spans.get(toHex(node)) ?? [];
    spans.set(toHex(node), [...before, { from: from * HOUR_S, until: until * HOUR_S }]);
  }
  return spans;
}

// ---- question and answer --------------------------------------------------------------------------------------------

function questionOf(bytes, commons) {
  const { tip } = commons.decided;
  const asked = record(decode(any(bytes, "question"), MAX_BUNDLE_BYTES), QUESTION);
  const rows = commons.rowsOf(asked.metric);
  demand(rows.length > 0, "the last charter's catalogue has no such metric", "unknown_metric");
  asked.windows.forEach(({ start }, at) => demand(at === 0 || asked.windows[at - 1].start < start, "windows in rising order"));
  const nodes = asked.nodes.map(toHex);
  const inOrder = tip.members.map(({ node }) => toHex(node)).filter((node) => nodes.includes(node));
  demand(inOrder.join() === nodes.join(), "members in the charter's order");
  return settled(asked, nodes, rows);
}

function demandAsked({ definition, window }, { windows }) {
  const isAsked = windows.some(({ text: asked, row }) => asked === window && isEqual(row.definition, definition));
  demand(isAsked, "speaks of nothing that is asked");
}

function demandStated(fields, stated) {
  demand(isEqual(Buffer.from(jsonOf(fields), "latin1"), stated), "another one than follows from the entries");
}

/** The lines a person reads. */
export function describeAnswer({ federation, charter, fields, speaking, others }, isGiven) {
  return [
    `answer      ${fields.identity}`,
    `federation  ${toHex(federation)}${isGiven ? "" : NOT_GIVEN}, charter version ${charter.version}`,
    `metric      ${fields.metric}, ${fields.windows.count} windows, ${speaking} entries speak, ${others} others`,
    "It does not prove that a node bounded, noised or counted honestly; nor that nothing was left out, voided later or suspended.",
  ];
}
