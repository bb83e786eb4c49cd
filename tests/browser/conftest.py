"""What every file of page tests uses: one browser a file, and pages that are closed after each test.

A file brings its own `site`, the nodes it looks at. Chromium starts after them: Playwright keeps a loop running in this
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.browser.watching import Watched


@pytest.fixture(scope="module")
def browser(site: Any) -> Iterator[Any]:
    from tests.browser.watching import chromium  # here: where Playwright is missing, files skip, not the folder

    with chromium() as launched:
        yield launched


@pytest.fixture
def watched(browser: Any, site: Any) -> Iterator[Callable[..., Watched]]:
    """Opens pages of amber, each in a context of its own."""
    from tests.browser.watching import Watched

    opened: list[Watched] = []

    def make(**options: Any) -> Watched:
        opened.append(Watched(browser, site.url("amber"), **options))
        return opened[-1]

    yield make
    for one in opened:
        one.context.close()
