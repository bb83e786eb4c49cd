"""One adapter to diffprivlib: our randomness, integers only, redraws, and nothing of it in the node's own process."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from privacy.diffprivlib_adapter import EXACT_LIMIT, choose, conservative_epsilon, draw_geometric, stream_random
from privacy.errors import InvalidParameterError, NoiseUnavailable
from privacy.exact_sampling import Rng

ROOT = Path(__file__).parents[3]
KEY = bytes(range(32))
BANNED = frozenset({
    "Laplace", "LaplaceTruncated", "LaplaceFolded", "LaplaceBoundedDomain", "LaplaceBoundedNoise", "Gaussian",
    "GaussianAnalytic", "Uniform", "Staircase", "Bingham", "Vector", "Exponential", "ExponentialCategorical",
    "ExponentialHierarchical", "Snapping",
})  # fmt: skip


def sources(folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def faults_of(name: str, tree: ast.Module) -> list[str]:
    """What a module does that the privacy engine must not: float mechanisms, seeds, numpy's or Python's generators."""
    found = []
    is_adapter = name == "privacy/diffprivlib_adapter.py"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(module.split(".")[0] == "diffprivlib" for module in modules) and not is_adapter:
                found.append("imports diffprivlib outside the adapter")
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("diffprivlib"):
                found += [f"imports {alias.name}" for alias in node.names if alias.name in BANNED]
            if any(module == "random" or module.startswith("numpy.random") for module in modules):
                found.append("imports a generator that is no CSPRNG")
        if isinstance(node, ast.Attribute):
            if node.attr in BANNED:
                found.append(f"uses {node.attr}")
            if node.attr == "random" and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
                found.append("uses np.random")
        if isinstance(node, ast.keyword) and node.arg in ("random_state", "seed"):
            ours = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "stream_random"
            if not (is_adapter and ours):
                found.append(f"passes {node.arg}=")
    return found


def test_privacy_uses_no_float_mechanism_no_seed_and_no_other_generator() -> None:
    """`random_state=` appears in the adapter only, and there it is our stream."""
    assert {name: faults for name, tree in sources("privacy") if (faults := faults_of(name, tree))} == {}


@pytest.mark.parametrize("text", [
    "from diffprivlib.mechanisms import Geometric",
    "import diffprivlib",
    "mechanisms.Laplace(epsilon=1, sensitivity=1)",
    "from numpy.random import default_rng",
    "import random",
    "np.random.default_rng(0)",
    "Geometric(epsilon=1, random_state=0)",
    "make(seed=1)",
])  # fmt: skip
def test_the_ban_is_able_to_fail(text: str) -> None:
    assert faults_of("privacy/other.py", ast.parse(text)) != []


def test_in_the_adapter_only_our_stream_is_a_random_state() -> None:
    name = "privacy/diffprivlib_adapter.py"
    assert faults_of(name, ast.parse("Geometric(random_state=stream_random(stream))")) == []
    assert faults_of(name, ast.parse("Geometric(random_state=0)")) != []
    assert faults_of(name, ast.parse("from diffprivlib.mechanisms import Laplace")) != []


def test_neither_importing_privacy_nor_a_node_brings_diffprivlib() -> None:
    """In a fresh process: everything that a running node imports, and none of the heavy ones among it."""
    script = (
        "import sys, node.app, privacy.diffprivlib_adapter, privacy.pld, node.jobs.workshop\n"
        "heavy = {'diffprivlib', 'sklearn', 'scipy', 'dp_accounting'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_same_key_gives_the_same_draws_and_another_gives_others() -> None:
    drawn = draw_geometric(Fraction(40), 100, KEY)
    assert drawn == draw_geometric(Fraction(40), 100, KEY)
    assert drawn != draw_geometric(Fraction(40), 100, KEY[::-1])
    assert all(type(draw) is int for draw in drawn)


def test_our_randomness_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's own generators made constant, draws still follow the key."""
    import random

    expected = draw_geometric(Fraction(40), 50, KEY)
    monkeypatch.setattr("os.urandom", bytes)
    monkeypatch.setattr(random.SystemRandom, "random", lambda self: 0.25)
    assert draw_geometric(Fraction(40), 50, KEY) == expected


def stream_of(*words: int) -> Rng:
    left = b"".join(word.to_bytes(7, "little") for word in words)

    def read(size: int) -> bytes:
        nonlocal left
        data, left = left[:size], left[size:]
        return data

    return read


def test_a_uniform_is_53_bits_of_7_bytes() -> None:
    source = stream_random(stream_of(0, 2**53 - 1, 2**52, 2**56 - 1))
    assert [source.random() for _ in range(4)] == [0.0, 1 - 2**-53, 0.5, 1 - 2**-53]


def test_an_overflow_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uniform of exactly 1/2 raises OverflowError inside diffprivlib: the next one counts."""
    monkeypatch.setattr("privacy.diffprivlib_adapter.keystream", lambda rng: stream_of(2**52, 2**52, 0))
    assert draw_geometric(Fraction(1), 1, KEY) == [0]
    monkeypatch.setattr("privacy.diffprivlib_adapter.keystream", lambda rng: stream_of(*[2**52] * 8))
    with pytest.raises(NoiseUnavailable, match="no draw"):
        draw_geometric(Fraction(1), 1, KEY)


def test_a_stream_that_ends_is_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.diffprivlib_adapter.keystream", lambda rng: stream_of(1))
    with pytest.raises(NoiseUnavailable):
        draw_geometric(Fraction(1), 2, KEY)


@pytest.mark.parametrize("scale", [Fraction(0), Fraction(-1), 40, 40.0, "40", Fraction(2**53, 3), Fraction(3, 2**53)])
def test_a_scale_that_is_not_exact_is_refused(scale: object) -> None:
    with pytest.raises(InvalidParameterError):
        draw_geometric(scale, 1, KEY)  # type: ignore[arg-type]


def test_a_choice_prefers_the_higher_utility_and_no_more_than_epsilon() -> None:
    """Two candidates, utilities 0 and 1 at ε = 1: odds within e^ε of even, and the better one ahead (400 choices)."""
    chosen = Counter(choose([0, 10], Fraction(1), 1, bytes([at % 256, at // 256] + [7] * 30)) for at in range(400))
    assert chosen[1] > 350
    close = Counter(choose([0, 1], Fraction(1), 1, bytes([at % 256, at // 256] + [9] * 30)) for at in range(400))
    assert close[0] * 3 > close[1], "neither is shut out"
    assert choose([7], Fraction(1, 2), 1, KEY) == 0


@pytest.mark.parametrize(("utilities", "epsilon", "sensitivity"), [
    ([], Fraction(1), 1), ([EXACT_LIMIT], Fraction(1), 1), ([1.5], Fraction(1), 1), ([True], Fraction(1), 1),
    ([1], Fraction(0), 1), ([1], 0.5, 1), ([1], Fraction(1), 0), ([1], Fraction(1), 1.0),
])  # fmt: skip
def test_a_choice_of_inexact_parts_is_refused(utilities: list[int], epsilon: Fraction, sensitivity: int) -> None:
    with pytest.raises(InvalidParameterError):
        choose(utilities, epsilon, sensitivity, KEY)


def test_the_second_opinion_is_conservative() -> None:
    """30 releases of ε = 1/10: between PLD's 2.35 and the plain sum of 3 (notes/privacy.md 3: 2.966)."""
    epsilon, delta = conservative_epsilon([(Fraction(1, 10), Fraction(0), 30)], Fraction(1, 10**6))
    assert 2.35 < epsilon <= 3.0
    assert delta <= 1.01e-6
