// A refusal, with a code of mesh.md 9 (or of 8.2 and 8.4, where those decide).

export class Refused extends Error {
  constructor(code, why) {
    super(`${code}: ${why}`);
    this.code = code;
  }
}

export function refuse(code, why) {
  throw new Refused(code, why);
}

export function demand(holds, why, code = "malformed") {
  if (!holds) refuse(code, why);
}
