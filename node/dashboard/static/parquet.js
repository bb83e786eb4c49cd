// Writes a table as a Parquet file, here: no figure of an operator's page travels anywhere to be converted, and the node
// keeps no door that turns strangers' rows into files. One row group, one uncompressed page a column (PLAIN, version 1 of
// apache/parquet-format); numbers are INT64 or DOUBLE, the rest UTF-8.

const [INT64, DOUBLE, BYTE_ARRAY] = [2, 5, 6]; // parquet.thrift, Type
const [OPTIONAL, UTF8, PLAIN, RLE] = [1, 0, 0, 3];
const [I32, I64, BINARY, LIST, STRUCT] = [5, 6, 8, 9, 12]; // Thrift's compact protocol
const MAGIC = "PAR1";
const encoder = new TextEncoder();

/** The file's bytes. `columns` are { name, values }: all numbers or null, or texts or null; `about` is kept in the footer. */
export function parquet(columns, count, about = {}) {
  const parts = [encoder.encode(MAGIC)];
  let at = MAGIC.length;
  const chunks = (count ? columns : []).map((column) => {
    const type = typeOf(column.values);
    const data = joined([levels(column.values), ...column.values.filter((value) => value !== null).map((value) => plain(type, value))]);
    const header = struct([[1, I32, 0], [2, I32, data.length], [3, I32, data.length],
      [5, STRUCT, [[1, I32, count], [2, I32, PLAIN], [3, I32, RLE], [4, I32, RLE]]]]);
    const chunk = { column, type, at, size: header.length + data.length };
    parts.push(header, data);
    at += chunk.size;
    return chunk;
  });
  const footer = struct([[1, I32, 1], [2, LIST, [STRUCT, [[[4, BINARY, "murmur"], [5, I32, columns.length]], ...columns.map(schema)]]], [3, I64, count],
    [4, LIST, [STRUCT, chunks.length ? [rowGroup(chunks, count)] : []]],
    [5, LIST, [STRUCT, Object.entries(about).map(([name, value]) => [[1, BINARY, name], [2, BINARY, value]])]], [6, BINARY, "murmur dashboard"]]);
  return joined([...parts, footer, little(4, (view) => view.setUint32(0, footer.length, true)), encoder.encode(MAGIC)]);
}

function typeOf(values) {
  if (!values.some((value) => typeof value === "number")) return BYTE_ARRAY;
  return values.every((value) => value === null || Number.isSafeInteger(value)) ? INT64 : DOUBLE;
}

const schema = ({ name, values }) => [[1, I32, typeOf(values)], [3, I32, OPTIONAL], [4, BINARY, name], ...(typeOf(values) === BYTE_ARRAY ? [[6, I32, UTF8]] : [])];

const rowGroup = (chunks, count) => [[1, LIST, [STRUCT, chunks.map(({ column, type, at, size }) => [[2, I64, at], [3, STRUCT,
  [[1, I32, type], [2, LIST, [I32, [PLAIN, RLE]]], [3, LIST, [BINARY, [column.name]]], [4, I32, 0], [5, I64, count], [6, I64, size], [7, I64, size], [9, I64, at]]]])]],
[2, I64, chunks.reduce((sum, one) => sum + one.size, 0)], [3, I64, count]];

/** One bit a row, 1 where there is a value: a single bit-packed run of the RLE hybrid, its length in front. */
function levels(values) {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  values.forEach((value, i) => { if (value !== null) bits[i >> 3] |= 1 << (i & 7); });
  const head = varint(2 * bits.length + 1);
  return joined([little(4, (view) => view.setUint32(0, head.length + bits.length, true)), head, bits]);
}

function plain(type, value) {
  if (type === INT64) return little(8, (view) => view.setBigInt64(0, BigInt(value), true));
  if (type === DOUBLE) return little(8, (view) => view.setFloat64(0, value, true));
  const text = encoder.encode(value);
  return joined([little(4, (view) => view.setUint32(0, text.length, true)), text]);
}

// -- bytes ---------------------------------------------------------------------------------------------------

/** Fields [id, type, value] in order of their ids, none negative. */
function struct(fields) {
  let before = 0;
  return joined([...fields.map(([id, type, value]) => {
    const head = Uint8Array.of(((id - before) << 4) | type);
    before = id;
    return joined([head, written(type, value)]);
  }), Uint8Array.of(0)]);
}

function written(type, value) {
  if (type === STRUCT) return struct(value);
  if (type === I32 || type === I64) return varint(2 * value); // zigzag
  if (type === BINARY) {
    const text = encoder.encode(value);
    return joined([varint(text.length), text]);
  }
  const [of, items] = value;
  return joined([items.length < 15 ? Uint8Array.of((items.length << 4) | of) : joined([Uint8Array.of(0xf0 | of), varint(items.length)]),
    ...items.map((item) => written(of, item))]);
}

function varint(value) {
  const out = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Uint8Array.from([...out, left]);
    out.push((left % 128) | 128);
  }
}

function little(size, set) {
  const view = new DataView(new ArrayBuffer(size));
  set(view);
  return new Uint8Array(view.buffer);
}

function joined(parts) {
  const out = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
