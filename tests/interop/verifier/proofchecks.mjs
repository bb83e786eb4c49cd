// proofs.json and answer_proofs.json, case by case.
import { verifyAnswerProof } from "./answerproofs.mjs";
import { jsonOf, sha256 } from "./answers.mjs";
import { fromHex, toHex } from "./bytes.mjs";
import { verifyProof } from "./proofs.mjs";
import { Refused, refuse } from "./refused.mjs";
import { same } from "./tally.mjs";

const text = (bytes) => bytes.toString("utf8");

/** What an accepted bundle says. */
function saidBy({ charter, definition, entry, summary, cells, cap, before }) {
  return {
    node: toHex(entry.header.author),
    charter_version: charter.version,
    metric: definition.metric,
    window: summary.window,
    release: toHex(summary.release),
    keys: summary.isKeyed ? summary.keys.map(text) : null,
    cells,
    charged: summary.total[0][1],
    cap: Number(cap),
    others: before.length,
  };
}

/** A refusal whose part or reason is another than the vector's is a disagreement. */
function verifyRefused(verify, { bundle, part, code }, federation) {
  try {
    verify(fromHex(bundle), federation);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    same(error.part, part, `the part (${error.message})`);
    if (code !== undefined) same(error.code, code, "the reason");
    refuse(error.code, error.message);
  }
}

export const proofs = {
  context: ["federation"],
  accepted(cases, tally, { vectors }) {
    tally.accepted("accepted", cases, ({ name, bundle, ...said }) => {
      same(saidBy(verifyProof(fromHex(bundle), fromHex(vectors.federation))), said, "what it proves");
    });
  },
  refused(cases, tally, { vectors }) {
    tally.refused("refused", cases, (one) => verifyRefused(verifyProof, one, fromHex(vectors.federation)));
  },
};

export const answerProofs = {
  context: ["federation"],
  accepted(cases, tally, { vectors }) {
    tally.accepted("accepted", cases, ({ name, bundle, ...said }) => {
      const { charter, fields, speaking, others } = verifyAnswerProof(fromHex(bundle), fromHex(vectors.federation));
      const found = { charter_version: charter.version, identity: fields.identity, sha256: sha256(jsonOf(fields)), speaking, others };
      same(found, said, "what it proves");
    });
  },
  refused(cases, tally, { vectors }) {
    tally.refused("refused", cases, (one) => verifyRefused(verifyAnswerProof, one, fromHex(vectors.federation)));
  },
};
