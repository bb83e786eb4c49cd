// Judgement and key chains, one thing wrong at a time. Run by test_verifier.py, or: node --test judgement.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fromHex } from "./bytes.mjs";
import { Decided } from "./chains.mjs";
import { parseEntry } from "./entries.mjs";
import { verifyInception } from "./inception.mjs";
import { judgeSummary } from "./judgement.mjs";
import { Ledger } from "./ledger.mjs";
import { KeyChain } from "./keychain.mjs";
import { verifyProof } from "./proofs.mjs";
import { compare, fromWire, ratioOf, whole } from "./ratios.mjs";
import { isThreshold } from "./thresholds.mjs";

const proof = verifyProof(readFileSync(new URL("../proofs/mean.murmur-proof", import.meta.url)));
const given = { ...proof, vector: proof.entry.cells };
const { summary, charter, member, definition, before } = proof;
const [[epoch, rho, delta]] = summary.charges;
const rows = (change) => charter.catalogue.map((row) => ({ ...row, ...change }));
const firstBlock = (change) => ({
  summary: { ...summary, blocks: summary.blocks.map((block, at) => (at === 0 ? { ...block, ...change } : block)) },
});

/** Charges folded as 8.6 says, then judged. */
function judge({ before: others, ...one }) {
  const ledger = new Ledger((epoch) => new Decided({ chain: [one.charter] }).capOf(epoch));
  for (const other of others) ledger.add(other);
  return judgeSummary({ ...one, charged: ledger.add(one.summary) });
}

test("the bundle as it came counts", () => assert.equal(judge(given), "counted"));

const WRONG = {
  not_in_catalogue: { charter: { ...charter, catalogue: [] } },
  outside_catalogue_row: { charter: { ...charter, catalogue: rows({ from: "2026-11-18T01", until: null }) } },
  before_counts_from: { member: { ...member, counts_from: "2026-11-18T01" } },
  not_one_epoch: { summary: { ...summary, charges: [["2026-11-17/P1D", rho, delta]] } },
  epoch_overlap: { before: [{ ...before[0], charges: [["2026-11-16/P1W", 1, 0]] }] },
  total_mismatch: { summary: { ...summary, total: [[epoch, rho, delta]] } },
  over_cap: { charter: { ...charter, caps: { ...charter.caps, day: [1, 1000] } } },
  bad_cells: { vector: Buffer.concat([Buffer.alloc(1), proof.entry.cells]) },
  window_mismatch: { definition: { ...definition, window: "week" } },
  keys_mismatch: { definition: { ...definition, isDiscovering: true } },
  cells_mismatch: { definition: { ...definition, blocks: definition.blocks.slice(1) } },
  mechanism_mismatch: firstBlock({ mechanism: "laplace" }),
  quantum_mismatch: firstBlock({ quantum: [7, 3] }),
  sigma_mismatch: firstBlock({ sigma2: [1, 1] }),
  charge_mismatch: { definition: { ...definition, rho: ratioOf(1n, 7n) } },
  unit_too_weak: { summary: { ...summary, unit: "address" }, definition: { ...definition, unit: "session" } },
};

for (const [reason, change] of Object.entries(WRONG)) {
  test(`void: ${reason}`, () => assert.throws(() => judge({ ...given, ...change }), { code: reason }));
}

test("a release charges once, a smaller total never explains the log", () => {
  judge({ ...given, before: [...before, before[0], before[0]] });
  const twice = [...before, { ...before[0], release: Buffer.alloc(32, 7) }];
  assert.throws(() => judge({ ...given, before: twice }), { code: "total_mismatch" });
});

test("τ of privacy.md 2.7: the least integer with a tail of at most δ/C", () => {
  const gaussian = { mechanism: "gaussian", sigma2: whole(1600) };
  const laplace = { mechanism: "laplace", b: whole(40) };
  const cases = [[gaussian, 236n], [laplace, 767n]];
  for (const [block, tau] of cases) {
    const isShown = (people) => isThreshold(block, ratioOf(1n, 10n ** 8n), 4n, people);
    assert.deepEqual([tau - 1n, tau].map(isShown), [false, true]);
  }
});

test("a key chain follows the rotation and the recovery of the vectors, and no other", () => {
  const { accepted } = JSON.parse(readFileSync(new URL("../../../specs/vectors/v1/entries.json", import.meta.url)));
  const entry = (name) => parseEntry(fromHex(accepted.find((one) => one.name === name).wire));
  const inception = verifyInception(entry("inception").data);
  const { federation } = entry("inception").header;
  const chain = new KeyChain(inception, federation);
  chain.follow(entry("rotate"));
  assert.deepEqual(chain.keyAt({ generation: 0, seq: 1 }), inception.signingKey);
  assert.notDeepEqual(chain.keyAt({ generation: 0, seq: 2 }), inception.signingKey);
  assert.throws(() => chain.follow(entry("rotate")), { code: "malformed" });
  chain.follow(entry("recover"));
  assert.throws(() => chain.follow(entry("recover")), { code: "malformed" });
  assert.throws(() => new KeyChain({ ...inception, rootKey: inception.signingKey }, federation).follow(entry("recover")), {
    code: "bad-signature",
  });
  const uncommitted = new KeyChain({ ...inception, nextDigest: Buffer.alloc(32) }, federation);
  assert.throws(() => uncommitted.follow(entry("rotate")), { code: "bad-key" });
});

test("ratios are exact", () => {
  assert.equal(compare(fromWire([1, 3]), ratioOf(333_333_333_333_333n, 10n ** 15n)), 1);
});
