"""Other people's published trackers, unchanged, send to a running node: Segment's for Node, Plausible's in Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.serving import serving
from tests.one_node import OneNode

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not MODULES.is_dir(), reason="npm packages are not fetched: npm ci in tests/interop")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    made = OneNode(tmp_path / "node")
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on this machine")
def test_segments_library_for_node_sends_unchanged(node: OneNode) -> None:
    """Track and page calls are stored with their consent; identify is refused and says why."""
    done = subprocess.run(
        ["node", HERE / "segment.mjs", node.url, node.key()], capture_output=True, text=True, cwd=HERE, timeout=60
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["errors"], said["status"]) == ([], 422)
    assert "profile" in said["hint"]
    node.stop()
    found = Counter((row["app"], row["action"], row.get("kind")) for row in node.stored())
    assert found == {("server", "order_completed", 0): 3, ("server", "page", None): 1}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_plausibles_tracker_sends_unchanged(node: OneNode) -> None:
    """A page view, and a purchase with props and revenue, from a page of another origin."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with serving() as pages, sync_api.sync_playwright() as playwright:
        key = node.key("--origin", pages.origin)
        tracker = (MODULES / "@plausible-analytics/tracker/plausible.js").read_text()
        pages.files["/plausible.js"] = ("text/javascript", tracker)
        pages.files["/"] = (
            "text/html",
            f"""<!doctype html><script type="module">
            import {{ init, track }} from "/plausible.js";
            window.answers = [];
            const endpoint = "{node.url}/api/event?key={key}";
            init({{ domain: "shop.example", endpoint, captureOnLocalhost: true }});
            const callback = (answer) => window.answers.push(answer.status);
            const revenue = {{ currency: "EUR", amount: 12.5 }};
            track("Purchase", {{ props: {{ kind: "tool", mail: "a@b.example" }}, revenue, callback }});
            </script>""",
        )
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-blink-features=AutomationControlled"]
        )
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{pages.origin}/?secret=1")
        page.wait_for_function("window.answers.length > 0")
        assert page.evaluate("window.answers") == [202]
        time.sleep(0.3)  # the page view has no callback of its own
        assert errors == []
        browser.close()
    node.stop()
    rows = [row for row in node.stored() if row["action"] != "engagement"]
    assert rows == [
        {"app": "shop.example", "action": "pageview", "path": 0, "country": "ZZ"},
        {"app": "shop.example", "action": "purchase", "kind": 1, "revenue_amount": 1250, "country": "ZZ"},
    ]
