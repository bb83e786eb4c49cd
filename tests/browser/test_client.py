"""client.js in Chromium, against a real node: nothing is lost, nothing counts twice, and the page never notices."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.browser.serving import Pages, serving
from tests.one_node import OneNode

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def test_the_script_is_small() -> None:
    script = files("node.client_js").joinpath("client.js").read_bytes()
    assert len(gzip.compress(script, 9)) <= 3000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


class Shop:
    """A node, a page that sends to it, and everything that went wrong in the page."""

    def __init__(self, node: OneNode, pages: Pages, browser: Any) -> None:
        self.node, self.pages = node, pages
        self.snippet = node.murmur(
            "snippet", "--url", node.url, "--key", node.key("--origin", pages.origin), "--app", "shop", config=False
        ).strip()
        pages.files["/"] = ("text/html", f"<!doctype html><title>x</title>{self.snippet}")
        self.context = browser.new_context()
        self.errors: list[str] = []
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self) -> None:
        self.page.goto(self.pages.origin)
        self.page.wait_for_function("!!window.murmur")

    def send(self, count: int) -> None:
        self.page.evaluate(f"for (let i = 0; i < {count}; i++) murmur('buy', {{ kind: 'book', mail: 'a@b.example' }})")

    def wait_until_sent(self) -> None:
        self.page.wait_for_function("!localStorage.getItem('murmur:q')", timeout=20_000)

    def counted(self) -> int:
        self.context.close()
        self.node.stop()
        assert self.errors == []
        return len([row for row in self.node.stored() if row["action"] == "buy" and row["kind"] == 0])


@pytest.fixture
def shop(tmp_path: Path, browser: Any) -> Iterator[Shop]:
    node = OneNode(tmp_path / "node")
    node.start()
    with serving() as pages:
        made = Shop(node, pages, browser)
        try:
            yield made
        finally:
            made.context.close()
            node.stop()


def test_offline_for_an_hour_then_online(shop: Shop) -> None:
    """Nothing of the hour is lost, without any call of the page; each event keeps the time it happened at."""
    shop.page.clock.install(time=datetime.now(UTC) - timedelta(hours=1))
    shop.open()
    shop.context.set_offline(True)
    shop.send(60)
    for _ in range(6):
        shop.page.clock.fast_forward("10:00")
        shop.send(5)
    times = shop.page.evaluate("JSON.parse(localStorage.getItem('murmur:q')).map(e => e.t)")
    assert (len(times), max(times) - min(times)) == (90, pytest.approx(3_600_000, abs=60_000))
    shop.context.set_offline(False)
    shop.wait_until_sent()
    assert shop.counted() == 90


def test_what_waited_for_a_day_is_dropped(shop: Shop) -> None:
    shop.page.clock.install()
    shop.open()
    shop.context.set_offline(True)
    shop.send(3)
    shop.page.clock.fast_forward("24:00:01")
    shop.context.set_offline(False)
    shop.wait_until_sent()
    assert shop.counted() == 0


def test_a_page_closed_in_the_middle_of_a_batch(shop: Shop) -> None:
    """The beacon takes what waits; the next visit sends again what nobody acknowledged; each counts once."""
    shop.open()
    shop.send(30)
    shop.page.close()
    shop.page = shop.context.new_page()
    shop.open()
    shop.wait_until_sent()
    assert shop.counted() == 30


def test_503_then_202(shop: Shop) -> None:
    refusals = []

    def refuse(route: Any) -> None:
        if len(refusals) < 2:
            refusals.append(1)
            headers = {"Access-Control-Allow-Origin": shop.pages.origin, "Retry-After": "1"}
            route.fulfill(status=503, headers=headers, body="{}")
        else:
            route.continue_()

    shop.page.route(re.compile("/v1/events"), refuse)
    shop.open()
    shop.send(5)
    shop.wait_until_sent()
    assert len(refusals) == 2
    assert shop.counted() == 5


def test_blocked_storage(shop: Shop) -> None:
    for area in ("localStorage", "sessionStorage"):
        shop.page.add_init_script(f"Object.defineProperty(window, '{area}', {{ get() {{ throw new Error('no') }} }})")
    shop.open()
    with shop.page.expect_response(re.compile("/v1/events")) as answer:
        shop.send(3)
    assert answer.value.json()["accepted"] == 3
    assert shop.counted() == 3


def test_global_privacy_control_is_obeyed(shop: Shop) -> None:
    shop.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })")
    asked: list[str] = []
    shop.page.on("request", lambda request: asked.append(request.url))
    shop.open()
    shop.send(3)
    shop.page.wait_for_timeout(1500)
    assert not [url for url in asked if "/v1/events" in url]
    assert shop.page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    assert shop.counted() == 0


def test_without_a_node_the_page_goes_on(shop: Shop) -> None:
    """The node is away; what was sent waits, and is counted when it is back."""
    shop.open()
    shop.node.stop()
    shop.send(4)
    shop.page.wait_for_timeout(2500)
    assert shop.page.evaluate("JSON.parse(localStorage.getItem('murmur:q')).length") == 4
    shop.node.start()
    shop.page.evaluate("murmur.flush()")
    shop.wait_until_sent()
    assert shop.counted() == 4


def test_a_page_that_the_script_never_reaches_goes_on(shop: Shop) -> None:
    """The node is away before the page is opened: calls meet the inline script, and nothing breaks."""
    shop.pages.files["/"] = (
        "text/html",
        f"<!doctype html>{shop.snippet}<script>murmur('buy', {{ kind: 'book' }})</script>",
    )
    shop.node.stop()
    shop.open()
    shop.page.evaluate("murmur('buy'); murmur.consent(['x']); murmur.page(); murmur.optOut(); murmur.flush()")
    shop.page.wait_for_timeout(500)
    assert shop.counted() == 0


def test_calls_before_the_script_came_count_once(shop: Shop) -> None:
    shop.pages.files["/"] = (
        "text/html",
        f"<!doctype html>{shop.snippet}<script>murmur('buy', {{ kind: 'book' }})</script>",
    )
    shop.page.goto(shop.pages.origin)
    shop.page.wait_for_function("!window.murmur.q")
    shop.page.evaluate("murmur.flush()")
    shop.wait_until_sent()
    assert shop.counted() == 1


def test_consent_opt_out_and_routes(shop: Shop) -> None:
    shop.pages.files["/"] = (
        "text/html",
        "<!doctype html>"
        + shop.snippet.replace("<script defer", '<script defer data-consent="required" data-page="view"'),
    )
    shop.open()
    shop.send(2)  # nothing was consented to yet
    shop.page.evaluate(
        "murmur.consent(['analytics']); murmur('buy', { kind: 'book' }); history.pushState({}, '', '/a')"
    )
    shop.page.evaluate("murmur.flush()")
    shop.wait_until_sent()
    shop.page.evaluate("murmur.optOut(); murmur('buy', { kind: 'book' }); murmur.flush()")
    shop.page.wait_for_timeout(300)
    shop.context.close()
    shop.node.stop()
    assert shop.errors == []
    assert [row["action"] for row in shop.node.stored()] == ["buy", "view"]


def test_what_is_withdrawn_is_held_by_the_node(shop: Shop) -> None:
    """Said while the node is away, it is told once it is back: a server that still claims consent is not believed."""
    shop.open()
    told: list[Any] = []
    shop.page.on("request", lambda asked: told.append(asked.post_data) if "/v1/consent" in asked.url else None)
    shop.page.evaluate("murmur.consent(['analytics']); murmur('buy', { kind: 'book' }); murmur.flush()")
    shop.wait_until_sent()
    session = shop.page.evaluate("sessionStorage.getItem('murmur:s')")
    shop.node.stop()
    shop.page.evaluate("murmur('buy', { kind: 'book' }); murmur.consent()")
    assert shop.page.evaluate("[localStorage.getItem('murmur:q'), sessionStorage.getItem('murmur:s')]") == [None, None]
    shop.page.wait_for_timeout(300)
    shop.node.start()
    shop.page.evaluate("dispatchEvent(new Event('online'))")
    shop.page.wait_for_function("!localStorage.getItem('murmur:w')", timeout=20_000)
    assert json.loads(told[-1]) == [{"session_id": session, "withdraw": ["analytics"]}]
    event = {"app": "server", "action": "page", "timestamp": time.time(), "user_id": "u", "session_id": session}
    assert _send(shop.node, {**event, "consent": ["analytics"]})["filtered"] == {"no_consent": 1}
    shop.page.evaluate("murmur('buy', { kind: 'book' }); murmur.optOut()")  # another session, and no consent in it
    shop.page.wait_for_function("!localStorage.getItem('murmur:w')")
    assert json.loads(told[-1])[0]["withdraw"] == "all"
    assert json.loads(told[-1])[0]["session_id"] != session
    assert shop.counted() == 1


def _send(node: OneNode, event: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {node.key()}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{node.url}/v1/events", json.dumps(event).encode(), headers)
    with urllib.request.urlopen(asked) as answer:
        return json.load(answer)


def test_types_and_script_are_served(shop: Shop) -> None:
    for name in ("client.js", "client.d.ts"):
        with urllib.request.urlopen(f"{shop.node.url}/{name}") as answer:
            assert answer.read() == files("node.client_js").joinpath(name).read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_restarting_node_that_drops_requests_loses_nothing(shop: Shop) -> None:
    """Killed every 30 s, 5 % of requests dropped, half of them after the node took them: each counts once."""
    draw = random.Random(7)

    def drop(route: Any) -> None:
        chance = draw.random()
        if chance < 0.025:
            route.abort()
            return
        if chance < 0.05:
            with contextlib.suppress(sync_api.Error):
                route.fetch()  # taken, and the answer is lost
            route.abort()
            return
        route.continue_()

    shop.page.route(re.compile("/v1/events"), drop)
    shop.open()
    one = "if (sent < 2000) { sent++; murmur('buy', { kind: 'book' }); }"
    shop.page.evaluate(f"window.sent = 0; setInterval(() => {{ {one} }}, 50)")
    for _ in range(3):
        shop.page.wait_for_timeout(30_000)
        shop.node.stop(signal.SIGKILL)
        shop.node.start()
    shop.page.wait_for_function("sent >= 2000", timeout=120_000)
    shop.page.evaluate("dispatchEvent(new Event('online'))")
    shop.page.wait_for_function("!localStorage.getItem('murmur:q')", timeout=300_000)
    assert 0.999 * 2000 < shop.counted() <= 2000
