// What the epochs of one log were charged, along the line that stands: mesh.md 8.6.
import { toHex } from "./bytes.mjs";
import { parseWindow } from "./windows.mjs";

/** `capOf(epoch)`: [ρ in 10⁻⁹, δ in 10⁻¹⁸]. */
export class Ledger {
  constructor(capOf) {
    this.capOf = capOf;
    this.totals = new Map(); // epoch's text to [ρ, δ]
    this.charged = new Set();
  }

  /** The next summary in form: `epoch_overlap`, `total_mismatch`, `over_cap` or null. */
  add({ release, charges, total }) {
    const isAgain = this.charged.has(toHex(release));
    this.charged.add(toHex(release));
    const found = charges.map(([epoch, ...charge], at) => this.charge(epoch, isAgain ? [0, 0] : charge, total[at].slice(1)));
    return found.find((reason) => reason !== null) ?? null;
  }

  charge(text, charge, stated) {
    const epoch = parseWindow(text);
    if (this.overlaps(epoch)) return "epoch_overlap";
    const before = this.totals.get(text) ?? [0n, 0n];
    const explained = before.map((sum, column) => sum + BigInt(charge[column]));
    const total = explained.map((sum, column) => larger(sum, BigInt(stated[column])));
    this.totals.set(text, total);
    if (explained.some((sum, column) => BigInt(stated[column]) < sum)) return "total_mismatch";
    const cap = this.capOf(epoch);
    return total.some((sum, column) => sum > cap[column]) ? "over_cap" : null;
  }

  /** An epoch of another length that shares a day was charged before. */
  overlaps(epoch) {
    return [...this.totals.keys()].map((text) => parseWindow(text)).some((other) =>
      other.length !== epoch.length && other.start < epoch.end && epoch.start < other.end);
  }
}

const larger = (left, right) => (left > right ? left : right);
