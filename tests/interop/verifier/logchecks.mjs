// admission.json, evidence.json, judgement.json and lines.json, case by case.
import { fromHex, toHex } from "./bytes.mjs";
import { Logs } from "./admission.mjs";
import { Decided } from "./chains.mjs";
import { compile } from "./definitions.mjs";
import { parseEntry } from "./entries.mjs";
import { verifyEvidence } from "./evidence.mjs";
import { idOf } from "./ids.mjs";
import { OPAQUE } from "./judgement.mjs";
import { judgeAll } from "./judging.mjs";
import { Refused } from "./refused.mjs";
import { verifyChain } from "./successions.mjs";
import { same } from "./tally.mjs";

const CONTEXT = ["federation", "nodes", "charters", "definitions", "entries"];

/** Bytes under labels, each read once. */
function scene({ charters, entries }) {
  const chains = new Map();
  const parsed = new Map();
  return {
    decided(labels) {
      const name = JSON.stringify(labels);
      if (!chains.has(name)) chains.set(name, new Decided(verifyChain(labels.map((label) => fromHex(charters[label])))));
      return chains.get(name);
    },
    entry(label) {
      if (!parsed.has(label)) parsed.set(label, parseEntry(fromHex(entries[label])));
      return parsed.get(label);
    },
  };
}

function decisionOf(logs, bytes) {
  try {
    const entry = parseEntry(bytes);
    const decision = logs.admit(entry);
    return decision === "behind" ? { decision, head: logs.headOf(entry.header.author) } : { decision };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { decision: "refused", code: error.code };
  }
}

export const admission = {
  context: CONTEXT,
  cases(cases, tally, { vectors }) {
    const { decided, entry } = scene(vectors);
    tally.accepted("cases", cases, ({ charters, known, entry: bytes, decision, code, head }) => {
      const logs = new Logs(decided(charters));
      for (const label of known) same(["extends", "beside"].includes(logs.admit(entry(label))), true, `${label} admitted`);
      const said = { decision, ...(code && { code }), ...(head !== undefined && { head }) };
      same(decisionOf(logs, fromHex(bytes)), said, "the decision");
    });
  },
};

/** Every entry admitted, as if asked for with `range`, in whatever order it fits; those refused for a cut, or on one, apart. */
export function logsOf(decided, labels, entry) {
  const logs = new Logs(decided);
  const cut = new Set();
  let waiting = [...labels];
  for (let left = Infinity; waiting.length > 0 && waiting.length < left;) {
    left = waiting.length;
    waiting = waiting.filter((label) => !isPlaced(logs, entry(label), cut));
  }
  return { logs, cut, waiting };
}

function isPlaced(logs, entry, cut) {
  if (cut.has(toHex(entry.header.prev))) return Boolean(cut.add(toHex(entry.id)));
  try {
    return logs.admit(entry, true) !== "behind";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "prev-mismatch") return false;
    if (error.code !== "cut") throw error;
    return Boolean(cut.add(toHex(entry.id)));
  }
}

/** Hash (hex) to a definition; `opaque` of one that metrics.md does not know. */
function definitionsOf(definitions, lacks = []) {
  const known = Object.entries(definitions).filter(([label]) => !lacks.includes(label)).map(([, hex]) => fromHex(hex));
  return new Map(known.map((bytes) => [toHex(idOf("definition", bytes)), compileOrOpaque(bytes)]));
}

function compileOrOpaque(bytes) {
  try {
    return compile(bytes);
  } catch (error) {
    if (error instanceof Refused) return OPAQUE;
    throw error;
  }
}

export const judgement = {
  context: CONTEXT,
  cases(cases, tally, { vectors }) {
    const { decided, entry } = scene(vectors);
    const names = Object.entries(vectors.nodes);
    tally.accepted("cases", cases, ({ charters, lacks, states, heads }) => {
      const labels = Object.keys(states);
      for (const order of [labels, [...labels].reverse()]) {
        const { logs, cut, waiting } = logsOf(decided(charters), order, entry);
        same(waiting, [], "entries that fit nowhere");
        const judged = judgeAll(logs, definitionsOf(vectors.definitions, lacks)).states;
        const stateOf = (id) => (cut.has(id) ? "void: cut" : judged.get(id)?.state);
        const found = Object.fromEntries(labels.map((label) => [label, stateOf(toHex(entry(label).id))]));
        for (const label of labels) same(found[label], states[label], label);
        same(Object.fromEntries(headsOf(logs, names, labels, entry)), heads, "the heads");
      }
    });
  },
};

function* headsOf({ byAuthor }, names, labels, entry) {
  for (const [name, node] of names) {
    const log = byAuthor.get(node);
    if (!labels.some((label) => toHex(entry(label).header.author) === node)) continue;
    const last = log.head();
    const label = last && labels.find((one) => toHex(entry(one).id) === last.id);
    yield [name, [last?.generation ?? 0, last?.seq ?? -1, label ?? null, log.frozenAt]];
  }
}

function verdictOf(bytes, logs) {
  try {
    return [verifyEvidence(bytes, logs)];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return ["refused", error.code];
  }
}

export const evidence = {
  context: CONTEXT,
  cases(cases, tally, { vectors }) {
    const { decided, entry } = scene(vectors);
    tally.accepted("cases", cases, ({ charters, known, evidence: hex, verdict, code }) => {
      const logs = new Logs(decided(charters));
      for (const label of known) same(["extends", "beside"].includes(logs.admit(entry(label))), true, `${label} admitted`);
      same(verdictOf(fromHex(hex), logs), code ? [verdict, code] : [verdict], "the verdict");
    });
  },
};
