// Cases counted as they are checked: agreed, or named with what went wrong.
import { isDeepStrictEqual } from "node:util";
import { Refused } from "./refused.mjs";

export class Tally {
  constructor() {
    this.cases = 0;
    this.disagreements = [];
  }

  /** One case; `check` throws where we disagree with the vector. */
  case(name, check) {
    this.cases += 1;
    try {
      check();
    } catch (error) {
      const isOurs = error instanceof Refused || error instanceof Disagreement;
      this.disagreements.push(`${name}: ${isOurs ? error.message : error.stack}`);
    }
  }

  /** Every case of a list must be refused, with the code it gives. */
  refused(section, cases, verify) {
    cases.forEach((one, at) => this.case(`${section} / ${one.name ?? at}`, () => demandRefusal(one, verify)));
  }

  accepted(section, cases, check) {
    cases.forEach((one, at) => this.case(`${section} / ${one.name ?? at}`, () => check(one)));
  }
}

export class Disagreement extends Error {}

export function same(got, expected, what) {
  if (!isDeepStrictEqual(got, expected)) {
    throw new Disagreement(`${what}: expected ${brief(expected)}, got ${brief(got)}`);
  }
}

const brief = (value) => String(JSON.stringify(value)).slice(0, 200);

function demandRefusal(one, verify) {
  try {
    verify(one);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (one.code !== undefined) same(error.code, one.code, `the code (${error.message})`);
    return;
  }
  throw new Disagreement(`expected a refusal${one.code ? ` (${one.code})` : ""}, but it was accepted`);
}
