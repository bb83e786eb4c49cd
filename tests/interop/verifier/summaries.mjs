// The data of a summary: mesh.md 5.5 and, with keys that no definition lists, 5.7.
import { isEqual } from "./bytes.mjs";
import { byCodeUnit, decode, encode } from "./canonical.mjs";
import { cellsHash } from "./cells.mjs";
import {
  demandAscending, hash, humanText, integer, list, oneOf, positiveRatio, ratio, record, tuple,
} from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { demand } from "./refused.mjs";
import { epochText, windowText } from "./windows.mjs";

const MAX_DATA_BYTES = 65_536;
const FIELDS_OF_ID = ["definition", "window", "blocks", "charges"];
const MAX_CELLS = 65_536;
const HIDDEN = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/u;

const keyText = (value, field) => {
  const text = humanText(64, 1)(value, field);
  demand(!HIDDEN.test(text), `${field}: a character that does not show`);
  return value;
};

const block = (least) => (value) => record(value, {
  cells: integer(least, MAX_CELLS),
  mechanism: oneOf("gaussian", "laplace", "geometric"),
  quantum: positiveRatio,
  sigma2: positiveRatio,
});

const charges = (value, field) => {
  const rows = list(tuple(epochText, integer(), integer()), 1, 8)(value, field);
  demandAscending(rows, ([left], [right]) => byCodeUnit(left, right), field);
  return rows;
};

const COMMON = {
  definition: hash,
  window: windowText,
  unit: oneOf("user", "session", "address"),
  charges,
  total: charges,
  sampling: ratio((numerator, denominator) => numerator > 0n && numerator <= denominator),
  release: hash,
};
const VERSION_1 = { ...COMMON, blocks: list(block(1), 1, 64), cells_hash: hash };
const VERSION_2 = { ...COMMON, blocks: list(block(0), 1, 64), "cells_hash?": hash, keys: list(keyText, 0, 512) };

/** The summary, its release id checked for this author, and `cellCount`; the cells themselves are read apart. */
export function parseSummary(data, author) {
  const outer = decode(data, MAX_DATA_BYTES);
  demand(outer instanceof Map, "summary: no map");
  const isKeyed = outer.get("v") === 2;
  demand(!isKeyed || outer.has("keys"), "version 2 without keys", "unknown-version");
  const fields = record(outer, isKeyed ? VERSION_2 : VERSION_1, isKeyed ? [2] : [1]);
  if (isKeyed) demandKeys(fields);
  const cellCount = fields.blocks.reduce((sum, { cells }) => sum + cells, 0);
  demand(cellCount <= MAX_CELLS, "more than 65,536 cells", "too-large");
  const isOfTheSame = fields.charges.map(([epoch]) => epoch).join() === fields.total.map(([epoch]) => epoch).join();
  demand(isOfTheSame, "charges and total name different epochs");
  demand(isEqual(fields.release, releaseId(outer, author)), "another release id");
  return { ...fields, isKeyed, cellCount };
}

/** 5.7: ascending, one cell a key in each block, a hash exactly where there is a key. */
function demandKeys({ keys, blocks, cells_hash }) {
  demandAscending(keys, Buffer.compare, "keys");
  demand(blocks.every(({ cells }) => cells === keys.length), "a block with more or fewer cells than keys");
  demand((cells_hash !== undefined) === keys.length > 0, "cells_hash exactly where there is a key");
}

/** 5.5, the release id; of version 2 over the keys too, and over no cells where there is no key. */
function releaseId(outer, author) {
  const version = outer.get("v");
  const cells = outer.get("cells_hash") ?? cellsHash(Buffer.alloc(0));
  const [definition, window, blocks, charged] = FIELDS_OF_ID.map((name) => outer.get(name));
  const items = [version, definition, window, author, cells, blocks, charged];
  return idOf("release", encode(version === 2 ? [...items, outer.get("keys")] : items));
}
