"""The workshop: a short-lived child process for what is too heavy for a node (diffprivlib, scipy, dp-accounting).

Rules:

- The node's own process never imports them (DESIGN 8): an idle node stays small and starts quickly.
- The child starts with the first question of a job and ends with the job (`close`, or the end of a `with` block).
- It sees parameters and key bytes, never rows, vectors or stored keys; its environment is empty but for the path of
  the program.
- No answer (it died, was late, or spoke nonsense) is NoiseUnavailable: nothing was released or charged, and the
  release is tried again at the next tick.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from privacy.accounting import DELTA
from privacy.errors import NoiseUnavailable
from privacy.losses import Losses

ANSWER_TIMEOUT_S: Final = 120.0  # imports take two seconds on an idle machine, a year of PLD three
AHEAD: Final = "ahead"  # argument of a child that is to import diffprivlib before the first question
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Epsilons:
    """ε of the same losses over several numbers of epochs.

    Args:
        pld: Tight, by privacy loss distributions.
        second: Conservative, by diffprivlib's accountant: it knows no mechanism.
    """

    pld: tuple[Decimal, ...]
    second: tuple[Decimal, ...]


class Workshop:
    """One child, started when first asked; safe to use from several threads, one question at a time."""

    def __init__(self, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the child without waiting for it, with diffprivlib imported, so that this runs beside other work."""
        with self._lock:
            self._started(AHEAD)

    def geometric(self, scale: Fraction, count: int, key: bytes) -> list[int]:
        """Draws of diffprivlib's `Geometric` at value 0 (privacy.diffprivlib_adapter), a pure function of the three.

        Raises:
            NoiseUnavailable: the child gave none.
        """
        question = {"do": "geometric", "scale": _ratio(scale), "count": count, "key": key.hex()}
        draws: list[int] = self._ask(question)["draws"]
        return draws

    def choose(self, utilities: Sequence[int], epsilon: Fraction, sensitivity: int, key: bytes) -> int:
        """The index of a privately chosen candidate (PermuteAndFlip); epsilon²/2 is charged before it is told.

        Raises:
            NoiseUnavailable: the child gave none.
        """
        question = {"do": "choose", "utilities": list(utilities), "epsilon": _ratio(epsilon),
                    "sensitivity": sensitivity, "key": key.hex()}  # fmt: skip
        choice: int = self._ask(question)["choice"]
        return choice

    def epsilons(self, losses: Losses, epochs: Sequence[int], delta: Fraction = DELTA) -> Epsilons:
        """ε of these losses in each of so many epochs.

        Raises:
            NoiseUnavailable: the child gave none.
        """
        listed = [
            [loss.law, _ratio(loss.scale), loss.shift, loss.times, loss.l2_squared, often]
            for loss, often in losses.items()
        ]
        question = {"do": "epsilons", "losses": listed, "epochs": list(epochs), "delta": _ratio(delta)}
        answer = self._ask(question)
        return Epsilons(tuple(map(Decimal, answer["pld"])), tuple(map(Decimal, answer["second"])))

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._stop()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:  # Any: parsed JSON of our own child
        """One answer."""
        with self._lock:
            child = self._started()
            assert child.stdin is not None
            assert child.stdout is not None
            late = threading.Timer(self._timeout_s, child.kill)
            late.start()
            try:
                child.stdin.write(json.dumps(question) + "\n")
                child.stdin.flush()
                answer: dict[str, Any] = json.loads(child.stdout.readline())
            except (OSError, ValueError) as error:
                self._stop()
                raise _unavailable("it ended without an answer") from error
            finally:
                late.cancel()
        if "failed" in answer:
            raise _unavailable(answer["why"])
        return answer

    def _started(self, *arguments: str) -> subprocess.Popen[str]:
        if self._child is None or self._child.poll() is not None:
            self._stop()
            keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
            self._child = subprocess.Popen(
                [sys.executable, "-m", "node.jobs.workshop_child", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                env={**keep, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                text=True,
            )
        return self._child

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.stdin is not None:
            with suppress(OSError):  # it died with a line in the pipe
                child.stdin.close()
        try:
            child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _ratio(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


def _unavailable(why: str) -> NoiseUnavailable:
    return NoiseUnavailable(
        what="Release stopped",
        why=f"the process that carries diffprivlib and dp-accounting failed: {why}",
        fix="Nothing was released or charged, and the node tries again at its next tick. Check memory, and that "
        "\"python -c 'import diffprivlib, dp_accounting'\" works",
    )
