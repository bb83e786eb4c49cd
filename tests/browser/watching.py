"""What browser tests share: Chromium, a page that is watched, hostile names, waiting for what is true."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SHOTS = os.environ.get("MURMUR_SCREENSHOTS")  # a folder for build output
HOSTILE = ["<img src=x onerror=alert(1)><script>alert(2)</script>", "\u202eםולש سلام", "x" * 300]
NAMING = (
    "name",
    "organisation",
    "question",
    "counts",
    "action",
    "field",
    "before",
    "after",
    "label",
    "changes",
    "missing",
)
SETTLE_S = 20.0


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; start the nodes before: Playwright keeps a loop running in this thread."""
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


class Watched:
    """A page, and everything it said or asked for."""

    def __init__(self, browser: Any, origin: str, *, scheme: str = "light", width: int = 1440, **options: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB", timezone_id="UTC", **options
        )
        self.page = self.context.new_page()
        self.origin = origin
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: str) -> Any:
        self.page.goto(self.origin + path)
        self.page.wait_for_selector("main > *")
        return self.page

    def assert_quiet(self) -> None:
        # A path this node does not have (yet) is asked for once and answered 404; the browser logs that itself.
        assert [text for text in self.errors if "404" not in text] == []
        assert all(url.startswith((self.origin, "blob:", "data:")) for url in self.requests)


def until(holds: Callable[[], bool], what: str, limit_s: float = SETTLE_S) -> float:
    """Seconds until it held; fails after the limit."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > limit_s:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - started


def figures(text: str) -> list[str]:
    return re.findall(r"[0-9][0-9,]*", text)


def too_wide(page: Any) -> int:
    """By how many pixels the page is wider than its window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def not_taken_along(page: Any) -> list[tuple[str, str]]:
    """Panels with rows that lack a way to take them along, and what they offer."""
    told = page.eval_on_selector_all(
        "main > .panel:has(table, dl.facts)",
        "(all) => all.map((one) => [one.id, one.querySelector('.tools')?.textContent ?? ''])",
    )
    wanted = ("CSV", "JSON", "Parquet", "Link", "Code", "Python", "Cite")
    return [(name, words) for name, words in told if not all(item in words for item in wanted)]


def serious(page: Any) -> list[tuple[str, list[Any]]]:
    """What axe finds serious or critical."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (rule["id"], [node["target"] for node in rule["nodes"]][:3])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def poison(page: Any, paths: str) -> list[str]:
    """Every name in these answers becomes hostile; what the page alerts is kept in the list."""
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    def poisoning(route: Any) -> None:
        response = route.fetch()
        if "json" not in response.headers.get("content-type", ""):
            return route.fulfill(response=response)
        return route.fulfill(response=response, json=poisoned(response.json()))

    page.route(re.compile(paths), poisoning)
    return dialogs


def poisoned(document: Any, place: str = "") -> Any:
    """Every name and label replaced; ids, numbers and words of the protocol kept."""
    if isinstance(document, list):
        return [poisoned(item, place) for item in document]
    if isinstance(document, dict):
        changed = {key: poisoned(value, key) for key, value in document.items()}
        if "key" in changed and isinstance(changed["key"], dict):
            changed["key"] = {
                axis: HOSTILE[len(text) % 3] if text == "book" else text for axis, text in changed["key"].items()
            }
        return changed
    if place in NAMING and isinstance(document, str):
        axes = ("country", "kind", "hour", "bin", "app")
        return document if document in axes else HOSTILE[len(document) % 3]
    return document
