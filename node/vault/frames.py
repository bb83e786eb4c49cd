"""Rows to the plaintext of one frame, and frames back to one Arrow table (specs/vault.md 4).

A frame holds a column in the least room it needs: nothing for a column of nulls, its value for a constant one, else
unsigned offsets from the least value in 1, 2, 4 or 8 bytes. The varying columns travel as one Arrow IPC record batch
message without schema, compressed with lz4 as a whole: in a frame of 100 events the message's own headers would
otherwise weigh more than half of the codes. Offsets are taken modulo 2^64, so one rule serves signed and unsigned.

The vault never looks at what a row means. A value outside its column's type is a mistake of the caller (ValueError).
"""

from __future__ import annotations

import functools
import struct
from array import array as exact_array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from node.vault.row_columns import FrameError, RowsInColumns
from privacy.rows import ATTRIBUTE_SLOTS, FIXED_COLUMNS, ROW_COLUMNS, Column, Row

if TYPE_CHECKING:
    import pyarrow as pa

# Any: the arrays here hold whatever integer type the column names.
_Array = npt.NDArray[np.integer[Any]]
_Dtype = np.dtype[np.integer[Any]]
_Packed = tuple[int, _Array | None, npt.NDArray[np.bool_] | None]  # base, offsets, validity

# The values of one column, modulo 2^64, and which are not null; None: all.
ArrayColumn = tuple[_Array, npt.NDArray[np.bool_] | None]

_ABSENT: Final = 0  # every value is null
_CONSTANT: Final = 1  # every value is the base
_VARYING: Final = 2  # code 2 + w: offsets from the base in 2**w bytes
_MODULUS: Final = 1 << 64
_HEAD: Final = struct.Struct(">I")
_COLUMN: Final = struct.Struct(">BQ")
_WIDTHS: Final[tuple[_Dtype, ...]] = (np.dtype("<u1"), np.dtype("<u2"), np.dtype("<u4"), np.dtype("<u8"))
_WIDEST: Final = tuple((1 << 8 * width.itemsize) - 1 for width in _WIDTHS)
_DTYPES: Final[dict[str, _Dtype]] = {
    "u8": np.dtype("<u1"),
    "u16": np.dtype("<u2"),
    "u32": np.dtype("<u4"),
    "u64": np.dtype("<u8"),
    "i64": np.dtype("<i8"),
}
_LARGEST: Final = {"u8": (1 << 8) - 1, "u16": (1 << 16) - 1, "u32": (1 << 32) - 1}
_FEW: Final = 200  # below this Python finds least and greatest faster than numpy is called
_TYPES: Final = {column.name: column.type for column in ROW_COLUMNS}
MAX_FRAME_ROWS: Final = 1 << 20  # so that a damaged count can never ask for more than some 200 MB


@dataclass(frozen=True, slots=True, repr=False)  # repr: it would show rows
class DecodedColumn:
    """One column of one frame: value = (base + offsets) modulo 2^64; offsets None = every value is the base."""

    base: int
    offsets: _Array | None
    valid: npt.NDArray[np.bool_] | None  # None: all valid


@dataclass(frozen=True, slots=True, repr=False)
class DecodedFrame:
    """A frame's columns in the order of the row; None for a column of nulls."""

    rows: int
    columns: tuple[DecodedColumn | None, ...]

    @property
    def nbytes(self) -> int:
        """About what it holds."""
        arrays = [array for column in self.columns if column for array in (column.offsets, column.valid)]
        return sum(array.nbytes for array in arrays if array is not None)


def columns_of(slots: int) -> tuple[Column, ...]:
    """The columns a segment for plans of at most `slots` attributes holds."""
    if not 0 <= slots <= ATTRIBUTE_SLOTS:
        raise ValueError(f"slots is 0 to {ATTRIBUTE_SLOTS}, got {slots}")
    return ROW_COLUMNS[: len(FIXED_COLUMNS) + slots]


@functools.cache
def arrow_schema(slots: int) -> pa.Schema:
    """The logical Arrow schema of such a segment."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(column.name, pa.from_numpy_dtype(_DTYPES[column.type]), nullable=column.nullable)
            for column in columns_of(slots)
        ]
    )


def encode_rows(rows: Sequence[Row] | RowsInColumns, slots: int) -> bytes:
    """The plaintext of one frame of rows, each as wide as the segment or as ROW_COLUMNS.

    Raises:
        ValueError: no rows, too many, rows of other widths, a value in a slot the segment does not hold, a null
            where none may be, or a value outside its column's type.
    """
    columns = rows.columns if isinstance(rows, RowsInColumns) else list(zip(*rows, strict=True))
    return encode_columns(columns, len(rows), slots)


def encode_columns(columns: Sequence[Sequence[int | None]], rows: int, slots: int) -> bytes:
    """As `encode_rows`, from one sequence of values a column."""
    wanted = columns_of(slots)
    if not 1 <= rows <= MAX_FRAME_ROWS:
        raise ValueError(f"a frame holds 1 to {MAX_FRAME_ROWS} rows, got {rows}")
    if len(columns) < len(wanted) or any(values.count(None) != rows for values in columns[len(wanted) :]):
        raise ValueError(f"rows do not fit a segment of {slots} attribute slots")
    return _frame([_pack(column, values, rows) for column, values in zip(wanted, columns, strict=False)], rows)


def encode_arrays(columns: Sequence[ArrayColumn], rows: int, slots: int) -> bytes:
    """As `encode_columns`, from columns as `gather` gives them, ROW_COLUMNS wide; for rows that were sealed before."""
    wanted = columns_of(slots)
    if not 1 <= rows <= MAX_FRAME_ROWS:
        raise ValueError(f"a frame holds 1 to {MAX_FRAME_ROWS} rows, got {rows}")
    if any(valid is None or valid.any() for _, valid in columns[len(wanted) :]):
        raise ValueError(f"rows do not fit a segment of {slots} attribute slots")
    packed = [_pack_array(column, *found) for column, found in zip(wanted, columns, strict=False)]
    return _frame(packed, rows)


def decode_frame(plaintext: bytes, slots: int) -> DecodedFrame:
    """The columns of a frame. FrameError when the bytes are not a frame of `slots` slots."""
    try:
        return _decode(plaintext, slots)
    except FrameError:
        raise
    except Exception as error:  # Arrow raises many families on bytes that are not a message
        raise FrameError(type(error).__name__) from error


def table_of(frames: Sequence[DecodedFrame]) -> pa.Table:
    """All rows of the frames, in order, with every column of ROW_COLUMNS; a slot that no frame holds is null."""
    import pyarrow as pa

    arrays = [arrow_of(column.name, found) for column, found in zip(ROW_COLUMNS, gather(frames), strict=True)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(ATTRIBUTE_SLOTS))


def column_of(parts: Sequence[tuple[DecodedColumn | None, int, int]], position: int) -> ArrayColumn:
    """One column of ROW_COLUMNS from its parts: each a frame's column, from which row, and to before which."""
    return _gather(ROW_COLUMNS[position], parts)


def arrow_of(column: str, found: ArrayColumn) -> pa.Array:
    """One column of ROW_COLUMNS as Arrow; shares its memory."""
    import pyarrow as pa

    values, valid = found
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    nulls = 0 if valid is None else len(values) - int(valid.sum())
    dtype = pa.from_numpy_dtype(_DTYPES[_TYPES[column]])
    return pa.Array.from_buffers(dtype, len(values), [bitmap, pa.py_buffer(values)], nulls)


def joined(frames: Sequence[DecodedFrame]) -> DecodedFrame:
    """All rows of the frames, in order, as one frame."""
    packed = [_pack_array(column, *found) for column, found in zip(ROW_COLUMNS, gather(frames), strict=True)]
    columns = tuple(None if one is None else DecodedColumn(*one) for one in packed)
    return DecodedFrame(sum(frame.rows for frame in frames), columns)


def frame_of(table: pa.Table) -> DecodedFrame:
    """A table as `table_of` makes them, as one frame."""
    columns: list[DecodedColumn] = []
    for column in ROW_COLUMNS:
        found = table.column(column.name).combine_chunks()
        values = found.fill_null(0).to_numpy(zero_copy_only=False).astype(_DTYPES[column.type], copy=False)
        valid = found.is_valid().to_numpy(zero_copy_only=False) if found.null_count else None
        columns.append(DecodedColumn(0, values.view(np.uint64) if column.type == "i64" else values, valid))
    return DecodedFrame(table.num_rows, tuple(columns))


def gather(frames: Sequence[DecodedFrame]) -> list[ArrayColumn]:
    """All rows of the frames, in order, as one array for each of ROW_COLUMNS."""
    return [
        _gather(
            column,
            [(frame.columns[place] if place < len(frame.columns) else None, 0, frame.rows) for frame in frames],
        )
        for place, column in enumerate(ROW_COLUMNS)
    ]


def _frame(packed: Sequence[_Packed | None], rows: int) -> bytes:
    head = bytearray(_HEAD.pack(rows))
    arrays: list[ArrayColumn] = []
    for column in packed:
        if column is None:
            head.append(_ABSENT)
            continue
        base, offsets, valid = column
        code = _CONSTANT if offsets is None else _VARYING + _WIDTHS.index(offsets.dtype)
        head += _COLUMN.pack(code, base)
        if offsets is not None:
            arrays.append((offsets, valid))
    return bytes(head) + (_message(arrays, rows) if arrays else b"")


def _pack_array(column: Column, values: _Array, valid: npt.NDArray[np.bool_] | None) -> _Packed | None:
    """As `_pack`, for a column that `gather` made."""
    if valid is not None and valid.all():
        valid = None
    if valid is not None and not valid.any():
        return None
    typed = values.view(_DTYPES[column.type])
    present = typed if valid is None else typed[valid]
    low, high = int(present.min()), int(present.max())
    if low == high and valid is None:
        return low % _MODULUS, None, None
    offsets = values - values.dtype.type(low % (1 << 8 * values.itemsize))
    if valid is not None:
        offsets[~valid] = 0
    return low % _MODULUS, offsets.astype(_WIDTHS[bisect_left(_WIDEST, high - low)]), valid


def _pack(column: Column, values: Sequence[int | None], rows: int) -> _Packed | None:
    """(base, offsets or None when constant, validity or None when all valid), or None when all are null."""
    first = values[0]
    if first == values[-1] and values.count(first) == rows:
        if first is not None:
            return _integers(column, [first])[1] % _MODULUS, None, None
        if column.nullable:
            return None
    nulls = values.count(None) if column.nullable else 0
    valid = None
    present = cast("Sequence[int]", values)  # true once the nulls are filled
    if nulls:
        valid = np.fromiter((value is not None for value in values), np.bool_, rows)
        filler = next(value for value in values if value is not None)
        present = [filler if value is None else value for value in values]
    array, low, high = _integers(column, present)
    width = bisect_left(_WIDEST, high - low)
    offsets = array.view(np.uint64) - np.uint64(low % _MODULUS)
    return low % _MODULUS, offsets.astype(_WIDTHS[width]), valid


def _integers(column: Column, values: Sequence[int]) -> tuple[_Array, int, int]:
    """The values as 64-bit integers with the least and the greatest, checked against the column's type."""
    wide, code = (np.uint64, "Q") if column.type == "u64" else (np.int64, "q")
    try:  # array.array refuses what is not an integer, where numpy would cut a float
        found: _Array = np.frombuffer(exact_array(code, values), wide)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"column {column.name} holds a value that is no {column.type}") from error
    if len(values) < _FEW:
        low, high = min(values), max(values)
    else:
        low, high = int(found.min()), int(found.max())
    if column.type in _LARGEST and (low < 0 or high > _LARGEST[column.type]):
        raise ValueError(f"column {column.name} holds a value that is no {column.type}")
    return found, low, high


def _message(arrays: list[ArrayColumn], rows: int) -> bytes:
    """u32 size, then the lz4 block of the Arrow IPC record batch message."""
    import pyarrow as pa

    columns = []
    for offsets, valid in arrays:
        bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
        nulls = 0 if valid is None else rows - int(valid.sum())
        columns.append(
            pa.Array.from_buffers(pa.from_numpy_dtype(offsets.dtype), rows, [bitmap, pa.py_buffer(offsets)], nulls)
        )
    schema = _wire_schema(tuple(_WIDTHS.index(offsets.dtype) for offsets, _ in arrays))
    message = pa.RecordBatch.from_arrays(columns, schema=schema).serialize()
    compressed: bytes = pa.compress(message, codec="lz4_raw", asbytes=True)
    return _HEAD.pack(message.size) + compressed


def _decode(plaintext: bytes, slots: int) -> DecodedFrame:
    (rows,) = _HEAD.unpack_from(plaintext)
    if not 1 <= rows <= MAX_FRAME_ROWS:
        raise FrameError("row count")
    position = _HEAD.size
    plan: list[tuple[int, int]] = []
    for column in columns_of(slots):
        if plaintext[position] == _ABSENT:
            if not column.nullable:
                raise FrameError(f"column {column.name} is absent")
            plan.append((_ABSENT, 0))
            position += 1
            continue
        code, base = _COLUMN.unpack_from(plaintext, position)
        if code >= _VARYING + len(_WIDTHS) or base > _LARGEST.get(column.type, base):
            raise FrameError(f"column {column.name}")
        plan.append((code, base))
        position += _COLUMN.size
    varying = iter(_read_message(plaintext, position, rows, [c - _VARYING for c, _ in plan if c >= _VARYING]))
    columns: list[DecodedColumn | None] = []
    for code, base in plan:
        if code == _ABSENT:
            columns.append(None)
        else:
            offsets, valid = (None, None) if code == _CONSTANT else next(varying)
            columns.append(DecodedColumn(base, offsets, valid))
    return DecodedFrame(rows, tuple(columns))


def _read_message(plaintext: bytes, position: int, rows: int, widths: list[int]) -> list[ArrayColumn]:
    import pyarrow as pa

    if not widths:
        if position != len(plaintext):
            raise FrameError("bytes after a constant frame")
        return []
    (size,) = _HEAD.unpack_from(plaintext, position)
    if size > 4096 + rows * len(widths) * 10:  # 8 bytes a value, a validity bit, padding; message headers
        raise FrameError("message size")
    message = pa.decompress(memoryview(plaintext)[position + _HEAD.size :], size, codec="lz4_raw")
    schema = _wire_schema(tuple(widths))
    batch = pa.ipc.read_record_batch(message, schema)
    if batch.num_rows != rows:
        raise FrameError("row count of the message")
    found: list[ArrayColumn] = []
    for width, column in zip(widths, batch.columns, strict=True):
        bitmap, data = column.buffers()
        valid = None
        if column.null_count:
            bits = np.frombuffer(bitmap, np.uint8)
            valid = np.unpackbits(bits, count=rows, bitorder="little").view(np.bool_)
        found.append((np.frombuffer(data, _WIDTHS[width], rows), valid))
    return found


@functools.lru_cache(maxsize=256)
def _wire_schema(widths: tuple[int, ...]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field("", pa.from_numpy_dtype(_WIDTHS[width])) for width in widths])


def _gather(column: Column, parts: Sequence[tuple[DecodedColumn | None, int, int]]) -> ArrayColumn:
    """One column from its parts."""
    rows = sum(end - begin for _, begin, end in parts)
    dtype = _DTYPES[column.type]
    values = np.zeros(rows, np.uint64 if dtype.itemsize == 8 else dtype)  # zeros: untouched pages cost nothing
    valid: npt.NDArray[np.bool_] | None = None
    start = 0
    for part, begin, end in parts:
        stop = start + end - begin
        if part is None or part.valid is not None:
            if valid is None:
                valid = np.ones(rows, np.bool_)
            valid[start:stop] = False if part is None or part.valid is None else part.valid[begin:end]
        if part is not None:
            if part.offsets is None:
                values[start:stop] = part.base
            else:
                base = values.dtype.type(part.base % (1 << 8 * values.itemsize))
                np.add(part.offsets[begin:end], base, out=values[start:stop], dtype=values.dtype, casting="unsafe")
        start = stop
    return values, valid
