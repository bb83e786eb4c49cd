// answers.json and badges.json, case by case: questions in, bytes out.
import { Commons, jsonOf, sha256 } from "./answers.mjs";
import { fromHex, toHex } from "./bytes.mjs";
import { Decided } from "./chains.mjs";
import { parseEntry } from "./entries.mjs";
import { idOf } from "./ids.mjs";
import { judgeAll } from "./judging.mjs";
import { layoutOf } from "./layouts.mjs";
import { logsOf } from "./logchecks.mjs";
import { verifyChain } from "./successions.mjs";
import { same } from "./tally.mjs";

/** What a member knows under each chain. */
function commonsOf({ charters, chains, definitions, entries }) {
  const parsed = Object.values(entries).map((hex) => parseEntry(fromHex(hex)));
  const layouts = new Map(Object.values(definitions).map((hex) => [toHex(idOf("definition", fromHex(hex))), layoutOf(fromHex(hex))]));
  const found = new Map();
  return (name) => {
    if (!found.has(name)) {
      const decided = new Decided(verifyChain(chains[name].map((label) => fromHex(charters[label]))));
      const { logs, waiting } = logsOf(decided, parsed, (entry) => entry);
      same(waiting.length, 0, "entries that fit nowhere");
      found.set(name, new Commons(decided, judgeAll(logs, layouts), layouts));
    }
    return found.get(name);
  };
}

const known = new WeakMap(); // of the vectors of a file

function ask({ metric, parameters, chain = "all" }, vectors) {
  if (!known.has(vectors)) known.set(vectors, commonsOf(vectors));
  return known.get(vectors)(chain).answer(metric, parameters);
}

/** The first place where two values differ, for people. */
function demandSame(got, expected, path = "") {
  const isDeep = (value) => value !== null && typeof value === "object";
  if (isDeep(got) && isDeep(expected)) {
    for (const key of new Set([...Object.keys(got), ...Object.keys(expected)])) demandSame(got[key], expected[key], `${path}.${key}`);
    return;
  }
  same(got, expected, path);
}

export const answers = {
  context: ["nodes", "charters", "chains", "definitions", "entries"],
  accepted(cases, tally, { vectors }) {
    tally.accepted("accepted", cases, (one) => {
      const text = jsonOf(ask(one, vectors));
      if (text !== one.answer) demandSame(JSON.parse(text), JSON.parse(one.answer));
      same(text, one.answer, "the bytes");
      same(sha256(text), one.sha256, "their SHA-256");
    });
  },
  refused: (cases, tally, { vectors }) => tally.refused("refused", cases, (one) => ask(one, vectors)),
};
