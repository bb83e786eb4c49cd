"""What the tests of the twenty mistakes share: the word that a broken variant must be rejected, and fixed bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from privacy.sampling import keystream

Rng = Callable[[int], bytes]


@contextmanager
def rejected(why: str) -> Iterator[None]:
    """The check inside must fail: it is given a broken variant. `why` names the variant in the failure."""
    try:
        yield
    except AssertionError:
        return
    pytest.fail(f"the check accepts a broken variant: {why}")


def fixed(seed: int) -> Rng:
    """An endless stream that a seed fixes, for showing that two runs differ only in what they must."""
    return keystream(lambda size: seed.to_bytes(size, "big"))
