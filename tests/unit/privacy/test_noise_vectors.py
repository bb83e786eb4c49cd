"""The golden vectors are what the code draws, and what a second reading of specs/privacy.md 3 gives for their bytes."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

FOLDER = Path(__file__).parents[3] / "specs/vectors/noise"


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / name).read_text())
    return found


class Stream:
    """Section 3.1 read again: AES-256 in counter mode, counter from 0."""

    def __init__(self, key: str) -> None:
        self._encrypt = Cipher(AES256(bytes.fromhex(key)), CTR(bytes(16))).encryptor().update

    def take(self, size: int) -> bytes:
        return self._encrypt(bytes(size))


def by_table(thresholds: list[int], count: int, stream: Stream) -> list[int]:
    """Section 3.2 read again, with Python integers and a plain count of the thresholds."""
    words = [int.from_bytes(stream.take(8), "little") for _ in range(count)]
    tops = {threshold >> 64 for threshold in thresholds}
    samples = []
    for word in words:
        high = word >> 1
        low = int.from_bytes(stream.take(8), "little") if high in tops else 0
        size = sum(threshold <= (high << 64 | low) for threshold in thresholds)
        samples.append(-size if word & 1 else size)
    return samples


def exact_thresholds(law: str, parameter: str) -> list[int]:
    """T_k by mpmath at 700 bits, up to the first that is 2¹²⁷ − 1."""
    with mpmath.workprec(700):
        value = Fraction(parameter)
        scale = mpmath.mpf(value.numerator) / value.denominator
        half, spread = (2 * scale, 40 * math.sqrt(value)) if law == "gaussian" else (scale, 300 * value)
        reach = math.ceil(spread) + 3  # what lies beyond is below 2⁻⁴⁰⁰
        weights = [mpmath.exp(-(k * k if law == "gaussian" else k) / half) for k in range(reach)]
        whole = 2 * sum(weights) - 1
        inside, found = mpmath.mpf(0), []
        for k, one in enumerate(weights):
            inside += one if k == 0 else 2 * one
            found.append(min(int(mpmath.floor(inside / whole * 2**127)), 2**127 - 1))
            if found[-1] == 2**127 - 1:
                return found
    raise AssertionError("the law ends within the reach")


def digest(samples: list[int]) -> str:
    return hashlib.sha256("".join(f"{sample}\n" for sample in samples).encode()).hexdigest()


def test_the_files_are_what_the_code_draws() -> None:
    done = subprocess.run([sys.executable, str(FOLDER / "generate.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_check_sees_a_changed_sample(tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    changed = (tmp_path / "laplace.json").read_text().replace('"count": 1000', '"count": 999', 1)
    (tmp_path / "laplace.json").write_text(changed)
    # The copy stands elsewhere, so it finds the code by PYTHONPATH.
    done = subprocess.run([sys.executable, str(tmp_path / "generate.py"), "--check"], capture_output=True, text=True,
                          env={"PYTHONPATH": str(FOLDER.parents[2])})  # fmt: skip
    assert done.returncode == 1
    assert "laplace.json" in done.stderr


@pytest.mark.parametrize("case", cases("keystream.json"), ids=lambda case: case["key"][:8])
def test_the_keystream_is_aes_256_ctr_from_zero(case: dict[str, Any]) -> None:
    stream = Stream(case["key"])
    assert (stream.take(64).hex(), stream.take(7).hex()) == (case["first"], case["then"])
    stream.take(5000)
    assert stream.take(16).hex() == case["after_5000"]


@pytest.mark.parametrize("case", [c for c in cases("thresholds.json") if c["count"] < 3000], ids=str)
def test_thresholds_are_exact_floors(case: dict[str, Any]) -> None:
    found = exact_thresholds(case["law"], case.get("sigma_squared") or case["scale"])
    assert len(found) == case["count"]
    assert [str(value) for value in found[:4]] == case["first"]
    assert hashlib.sha256(b"".join(value.to_bytes(16, "big") for value in found)).hexdigest() == case["sha256"]


@pytest.mark.parametrize(("file", "law", "name", "parameters"), [
    ("gaussian.json", "gaussian", "sigma_squared", ("1/2", "20", "200")),
    ("laplace.json", "laplace", "scale", ("1/3", "1", "21/2")),
])  # fmt: skip
def test_samples_follow_from_the_bytes(file: str, law: str, name: str, parameters: tuple[str, ...]) -> None:
    thresholds = {text: exact_thresholds(law, text) for text in parameters}
    seen = 0
    for case in cases(file):
        if case[name] in parameters:
            samples = by_table(thresholds[case[name]], case["count"], Stream(case["key"]))
            assert samples[:16] == case["first"]
            assert digest(samples) == case["sha256"]
            seen += 1
    assert seen == 3 * len(parameters)


@pytest.mark.parametrize("case", cases("geometric.json")[:9], ids=str)
def test_geometric_samples_follow_from_the_bytes(case: dict[str, Any]) -> None:
    """Section 3.6 read again: u of 53 bits, inverse of the distribution function in binary64."""
    stream, scale = Stream(case["key"]), Fraction(case["scale"])
    rate = -(scale.denominator / scale.numerator)
    samples = []
    for _ in range(case["count"]):
        uniform = (int.from_bytes(stream.take(7), "little") % 2**53) * 2.0**-53
        centred = (uniform - 0.5) * (1 + math.exp(rate))
        sign = -1 if centred < 0 else 1
        samples.append(int(sign * math.floor(math.log(sign * centred) / rate)))
    assert samples[:16] == case["first"]
    assert digest(samples) == case["sha256"]


def test_every_refused_case_has_a_code_of_the_family() -> None:
    assert {case["code"] for case in cases("refused.json")} == {"invalid_parameter", "noise_unavailable"}
