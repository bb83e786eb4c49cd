// What a chain of charters decides besides its tip: charter.md 3.8.
import { isEqual, toHex } from "./bytes.mjs";
import { floor, fromWire, mul, whole } from "./ratios.mjs";

const NOTICE_S = 48 * 3_600;
const DAY_S = 86_400;
const NANO = whole(10 ** 9);
const DELTA_ATTO_A_DAY = 10n ** 10n; // mesh.md 8.6: 10^-8 for each day of the epoch

/** `verified`: what verifyChain gives. */
export class Decided {
  constructor({ tip, federation, chain }) {
    Object.assign(this, { tip, federation, chain });
  }

  /** In order of first appearance, hex (mesh.md 6.4). */
  authors() {
    return [...new Set(this.chain.flatMap(({ members }) => members.map(({ node }) => toHex(node))))];
  }

  /** In the trusted charter. */
  member(node) {
    return this.tip.members.find((one) => isEqual(one.node, node));
  }

  /** Of each charter of the chain, where it names the node. */
  said(node) {
    return this.chain.map(({ members }) => members.find((one) => isEqual(one.node, node))).filter(Boolean);
  }

  /** Named after the inception's, oldest first; a root that goes on being named is named once. */
  roots(node) {
    const named = this.said(node).map(({ root }) => root).filter(Boolean);
    return named.filter((root, at) => at === 0 || !isEqual(root, named[at - 1]));
  }

  /** The last one named, also after readmission: {generation, seq, id}. */
  cut(node) {
    const last = this.said(node).map(({ cut }) => cut).filter(Boolean).at(-1);
    return last === undefined ? null : { generation: last[0], seq: last[1], id: toHex(last[2]) };
  }

  isRemoved(node) {
    return this.member(node)?.cut !== undefined;
  }

  /** [ρ in 10⁻⁹, δ in 10⁻¹⁸] an epoch may be charged. */
  capOf(epoch) {
    const inTime = this.chain.filter(({ created }) => created + NOTICE_S <= epoch.start);
    const { caps } = inTime.at(-1) ?? this.chain[0];
    const days = BigInt((epoch.end - epoch.start) / DAY_S);
    return [floor(mul(fromWire(caps[epoch.length]), NANO)), DELTA_ATTO_A_DAY * days];
  }
}
