"""Bulk discrete Gaussian and discrete Laplace noise: bytes in, integers out, a pure function.

One draw takes 8 bytes, read as a little-endian word: bit 0 is the sign, the other 63 bits are compared with
a table of exact thresholds (`noise_table`). The rare draw whose 63 bits equal a threshold's takes 8 more
bytes, after all first words, in order of draws; so the result is exact to 127 bits. Beyond the table's
reach each draw is made by the exact loops of `exact_sampling`.

In production the bytes are an AES-256-CTR stream under a fresh key of the operating system's (`keystream`),
one key a release. The guarantee is then computational (PRIVACY 5).

Left out on purpose: a seed, a default source of randomness, floats.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from privacy.errors import InvalidParameterError, NoiseUnavailable
from privacy.exact_sampling import Rng, discrete_gaussian, discrete_laplace
from privacy.noise_table import LAPLACE_REACH, TABLE_REACH, NoiseTable, gaussian_table, laplace_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY_BYTES: Final = 32
_CHUNK_BYTES: Final = 4096
_NONCE: Final = bytes(16)  # the counter starts at 0: each key is used for one stream only


def keystream(rng: Rng) -> Rng:
    """An endless AES-256-CTR stream keyed by 32 bytes of rng; use it for one release, then drop it.

    Raises:
        NoiseUnavailable: rng gave no 32 bytes.
    """
    # Imported here: the ledger and the estimates need this package without OpenSSL.
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    encrypt = Cipher(AES256(read_exactly(rng, KEY_BYTES)), CTR(_NONCE)).encryptor().update
    chunk = b""
    at = 0

    def read(size: int) -> bytes:
        nonlocal chunk, at
        end = at + size
        if end <= len(chunk):
            at, start = end, at
            return chunk[start:end]
        head, missing = chunk[at:], end - len(chunk)
        whole = encrypt(bytes(max(missing, _CHUNK_BYTES)))
        if not head and len(whole) == missing:
            chunk, at = b"", 0
            return whole
        chunk, at = whole, missing
        return head + whole[:missing]

    return read


def draw_gaussian(sigma_squared: Fraction, count: int, stream: Rng) -> NDArray[np.int64]:
    """`count` independent discrete Gaussian draws of this sigma² from a byte stream.

    Args:
        sigma_squared: Noise scale squared, in cells squared; > 0, exact.
        count: How many; >= 0.
        stream: The bytes; the same bytes give the same draws on any machine.

    Raises:
        InvalidParameterError: sigma² is not a positive Fraction.
        NoiseUnavailable: the stream gave fewer bytes than asked for.
    """
    import numpy as np

    if not isinstance(sigma_squared, Fraction) or sigma_squared <= 0:
        raise InvalidParameterError(
            what="Noise refused",
            why=f"sigma² is {sigma_squared!r}, expected a Fraction above 0",
            fix="State the noise scale as an exact ratio",
        )
    if sigma_squared > TABLE_REACH:
        draws = (discrete_gaussian(sigma_squared, lambda size: read_exactly(stream, size)) for _ in range(count))
        return np.fromiter(draws, dtype=np.int64, count=count)
    return _draw_by_table(gaussian_table(sigma_squared), count, stream)


def draw_laplace(scale: Fraction, count: int, stream: Rng) -> NDArray[np.int64]:
    """`count` independent discrete Laplace draws of this b from a byte stream; the rest as for `draw_gaussian`.

    Raises:
        InvalidParameterError: b is not a positive Fraction.
        NoiseUnavailable: the stream gave fewer bytes than asked for.
    """
    import numpy as np

    if not isinstance(scale, Fraction) or scale <= 0:
        raise InvalidParameterError(
            what="Noise refused",
            why=f"b is {scale!r}, expected a Fraction above 0",
            fix="State the noise scale as an exact ratio",
        )
    if scale > LAPLACE_REACH:
        draws = (discrete_laplace(scale, lambda size: read_exactly(stream, size)) for _ in range(count))
        return np.fromiter(draws, dtype=np.int64, count=count)
    return _draw_by_table(laplace_table(scale), count, stream)


def _draw_by_table(table: NoiseTable, count: int, stream: Rng) -> NDArray[np.int64]:
    import numpy as np

    words = np.frombuffer(read_exactly(stream, 8 * count), dtype="<u8").astype(np.uint64, copy=False)
    compared = words >> np.uint64(1)
    sizes = np.searchsorted(table.top, compared, side="left")
    tied = np.flatnonzero(table.top[np.minimum(sizes, table.largest - 1)] == compared)
    for i in tied.tolist():
        sizes[i] = _settle(table, int(compared[i]), int.from_bytes(read_exactly(stream, 8), "little"))
    signs = 1 - 2 * (words & np.uint64(1)).astype(np.int64)
    return sizes.astype(np.int64, copy=False) * signs


def _settle(table: NoiseTable, top: int, low: int) -> int:
    """The number of thresholds <= top · 2⁶⁴ + low, for a top that equals some threshold's."""
    import numpy as np

    first = int(np.searchsorted(table.top, np.uint64(top), side="left"))
    last = int(np.searchsorted(table.top, np.uint64(top), side="right"))
    return first + int(np.searchsorted(table.low[first:last], np.uint64(low), side="right"))


def read_exactly(stream: Rng, size: int) -> bytes:
    """Exactly `size` bytes of a stream.

    Raises:
        NoiseUnavailable: it gave another number.
    """
    data = stream(size)
    if len(data) != size:
        raise NoiseUnavailable(
            what="Release stopped",
            why=f"the source of randomness gave {len(data)} bytes instead of {size}",
            fix="Check the operating system's random source; nothing was released or charged",
        )
    return data
