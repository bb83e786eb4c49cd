"""Writes the golden vectors of the noise: bytes in, samples out. `--check` says whether they are what the code draws.

    python specs/vectors/noise/generate.py [--check]

Vectors are added, never edited: a change of one is a change of what a key means, and with it of every audit.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from privacy.diffprivlib_adapter import choose, draw_geometric  # noqa: E402
from privacy.errors import PrivacyError  # noqa: E402
from privacy.exact_sampling import Rng, discrete_gaussian, discrete_laplace  # noqa: E402
from privacy.noise_table import gaussian_thresholds, laplace_thresholds  # noqa: E402
from privacy.sampling import draw_gaussian, draw_laplace, keystream  # noqa: E402

SHOWN: Final = 16  # samples written out; the rest are in the hash
COUNT: Final = 1000
KEYS: Final = tuple(hashlib.sha256(b"murmur noise vector %d" % at).digest() for at in range(3))
GAUSSIAN_SQUARES: Final = (
    "1/2",
    "20",
    "200",
    "800/3",
    "1000000",
    "4194304",
    "16777216",
)  # the last is beyond the table
LAPLACE_SCALES: Final = ("1/3", "1", "21/2", "40", "360", "1000")
GEOMETRIC_SCALES: Final = ("1", "21/2", "40", "1024")
CHOICES: Final = (((3, 5, 5, 1), "1", 1), ((0, 100, 200), "1/10", 2), ((7,), "1/2", 1))


def vectors() -> dict[str, Any]:
    """Every file's content, by name."""
    return {
        "keystream.json": [_keystream(key) for key in KEYS],
        "thresholds.json": [
            *(_thresholds("gaussian", "sigma_squared", text, gaussian_thresholds) for text in GAUSSIAN_SQUARES[:-1]),
            *(_thresholds("laplace", "scale", text, laplace_thresholds) for text in LAPLACE_SCALES[:-1]),
        ],
        "gaussian.json": [
            _drawn("sigma_squared", text, key, draw_gaussian) for text in GAUSSIAN_SQUARES for key in KEYS
        ],
        "laplace.json": [_drawn("scale", text, key, draw_laplace) for text in LAPLACE_SCALES for key in KEYS],
        "geometric.json": [_geometric(text, key) for text in GEOMETRIC_SCALES for key in KEYS],
        "exact.json": [
            *(_exact("gaussian", text, key, discrete_gaussian) for text in ("20", "200") for key in KEYS),
            *(_exact("laplace", text, key, discrete_laplace) for text in ("21/2", "40") for key in KEYS),
        ],
        "choice.json": [_choice(*case, key) for case in CHOICES for key in KEYS],
        "refused.json": _refused(),
    }


def _keystream(key: bytes) -> dict[str, Any]:
    stream = keystream(lambda size: key[:size])
    return {"key": key.hex(), "first": stream(64).hex(), "then": stream(7).hex(), "after_5000": _after(stream, 5000)}


def _after(stream: Rng, size: int) -> str:
    stream(size)
    return stream(16).hex()


def _thresholds(law: str, name: str, text: str, of: Callable[[Fraction], list[int]]) -> dict[str, Any]:
    found = of(Fraction(text))
    whole = b"".join(value.to_bytes(16, "big") for value in found)
    return {"law": law, name: text, "count": len(found), "first": [str(value) for value in found[:4]],
            "sha256": hashlib.sha256(whole).hexdigest()}  # fmt: skip


def _drawn(name: str, text: str, key: bytes, draw: Callable[..., Any]) -> dict[str, Any]:
    count = 50 if text in (GAUSSIAN_SQUARES[-1], LAPLACE_SCALES[-1]) else COUNT
    samples = draw(Fraction(text), count, keystream(lambda size: key[:size])).tolist()
    return {name: text, "key": key.hex(), **_samples(samples)}


def _geometric(text: str, key: bytes) -> dict[str, Any]:
    return {"scale": text, "key": key.hex(), **_samples(draw_geometric(Fraction(text), COUNT, key))}


def _exact(law: str, text: str, key: bytes, draw: Callable[[Fraction, Rng], int]) -> dict[str, Any]:
    stream = keystream(lambda size: key[:size])
    return {"law": law, "parameter": text, "key": key.hex(),
            **_samples([draw(Fraction(text), stream) for _ in range(200)])}  # fmt: skip


def _choice(utilities: Sequence[int], epsilon: str, sensitivity: int, key: bytes) -> dict[str, Any]:
    chosen = choose(utilities, Fraction(epsilon), sensitivity, key)
    return {"utilities": list(utilities), "epsilon": epsilon, "sensitivity": sensitivity, "key": key.hex(),
            "chosen": chosen}  # fmt: skip


def _samples(samples: Sequence[int]) -> dict[str, Any]:
    """The count, the first samples, and the hash of all as decimal lines."""
    lines = "".join(f"{sample}\n" for sample in samples).encode()
    return {"count": len(samples), "first": list(samples[:SHOWN]), "sha256": hashlib.sha256(lines).hexdigest()}


def _refused() -> list[dict[str, Any]]:
    key = KEYS[0]
    empty: Rng = lambda size: b""  # noqa: E731 - a source that fails
    cases: list[tuple[str, Callable[[], object]]] = [
        ("a source that gives too few bytes", lambda: draw_gaussian(Fraction(200), 4, empty)),
        ("a Gaussian scale of 0", lambda: draw_gaussian(Fraction(0), 1, keystream(lambda size: key[:size]))),
        ("a Laplace scale below 0", lambda: draw_laplace(Fraction(-1), 1, keystream(lambda size: key[:size]))),
        ("a scale as a float", lambda: draw_laplace(40.0, 1, keystream(lambda size: key[:size]))),  # type: ignore[arg-type]
        ("a Geometric scale of 0", lambda: draw_geometric(Fraction(0), 1, key)),
        ("a Geometric scale of too many digits", lambda: draw_geometric(Fraction(2**53, 3), 1, key)),
        ("a choice among nothing", lambda: choose([], Fraction(1), 1, key)),
        ("a choice by a utility of 2^52", lambda: choose([2**52], Fraction(1), 1, key)),
        ("a choice at a float epsilon", lambda: choose([1, 2], 0.5, 1, key)),  # type: ignore[arg-type]
    ]
    found = []
    for what, call in cases:
        try:
            call()
        except PrivacyError as error:
            found.append({"case": what, "code": error.code})
    assert len(found) == len(cases), "a case was not refused"
    return found


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with --check compare them; 1 when one differs."""
    stale = []
    for name, content in vectors().items():
        text = json.dumps(content, indent=1) + "\n"
        path = HERE / name
        if arguments == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is not what the code draws", file=sys.stderr)  # noqa: T201 - a command for people
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
