// Cell vectors: mesh.md 5.4. Big-endian two's complement of one width, the smallest of 1, 2, 4, 8 that holds all.
import { idOf } from "./ids.mjs";
import { demand } from "./refused.mjs";

const WIDTHS = [1, 2, 4, 8];
const MAX_CELLS = 65_536;

export function readCells(bytes, count) {
  demand(count >= 1 && count <= MAX_CELLS, "1 to 65,536 cells");
  const width = bytes.length / count;
  demand(WIDTHS.includes(width), "a width of 1, 2, 4 or 8 bytes");
  const cells = [];
  for (let at = 0; at < bytes.length; at += width) cells.push(readOne(bytes, at, width));
  demand(cells.every(Number.isSafeInteger), "a cell beyond 2^53 - 1");
  demand(width === widthOf(cells), "a wider form than the cells need");
  return cells;
}

function readOne(bytes, at, width) {
  return width === 8 ? Number(bytes.readBigInt64BE(at)) : bytes.readIntBE(at, width);
}

function widthOf(cells) {
  return WIDTHS.find((width) => cells.every((cell) => cell >= -(2 ** (8 * width - 1)) && cell < 2 ** (8 * width - 1)));
}

export function writeCells(cells) {
  const width = widthOf(cells);
  const bytes = Buffer.alloc(width * cells.length);
  cells.forEach((cell, at) => {
    if (width === 8) bytes.writeBigInt64BE(BigInt(cell), 8 * at);
    else bytes.writeIntBE(cell, width * at, width);
  });
  return bytes;
}

export const cellsHash = (bytes) => idOf("cells", bytes);
