"""The operator's pages on a node's admin port, on what is there: a proposal, a request to join, who came back."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from node.dashboard import OPERATOR_PAGES
from tests.browser.watching import (
    HOSTILE,
    SHOTS,
    needs_chromium,
    not_taken_along,
    poison,
    serious,
    too_wide,
    until,
)
from tests.browser.week import Week

pytestmark = needs_chromium
PERCENT = "(one) => new Intl.NumberFormat(undefined, {style: 'percent', maximumFractionDigits: 1}).format(one)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    made = Week(tmp_path_factory.mktemp("week"))
    try:
        made.start()
        made.play()
        made.propose()
        made.ask_to_join()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def key(site: Week) -> str:
    wish = {"kind": "admin", "scopes": [], "label": "tests"}
    made: str = site.amber.admin.post("/v1/admin/tokens", wish)["token"]
    return made


@pytest.fixture
def operator(browser: Any, site: Week, key: str) -> Iterator[Callable[..., Any]]:
    """Opens a page of amber's admin port with the admin key given."""
    contexts: list[Any] = []

    def open_page(path: str, secret: str = key, **options: Any) -> Any:
        contexts.append(browser.new_context(locale="en-GB", timezone_id="UTC", **options))
        page = contexts[-1].new_page()
        page.goto(site.amber.admin_url + path)
        page.fill("#status input[type=password]", secret)
        page.keyboard.press("Enter")
        page.wait_for_selector("main > *" if secret == key else "#status >> text=Forget it")  # asked again: not taken
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_the_operators_pages_want_an_admin_key_and_stand_nowhere_else(site: Week, operator: Callable[..., Any]) -> None:
    """Without a key the admin port gives pages and no figure; the research port does not even have them."""
    for path in OPERATOR_PAGES:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(site.amber.url + path, timeout=10)
        with urllib.request.urlopen(site.amber.admin_url + path, timeout=10) as reply:
            assert b'data-plane="operator"' in reply.read()
    for path in ("/v1/ingest/recent", "/v1/ingest/plan", "/v1/admin/status", "/v1/federation", "/v1/nowhere"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(site.amber.admin_url + path, timeout=10)
    for width, scheme in ((360, "dark"), (1440, "light")):
        page = operator("/ingest", viewport={"width": width, "height": 900}, color_scheme=scheme)
        for path in OPERATOR_PAGES:
            page.goto(site.amber.admin_url + path)
            page.wait_for_selector("main > .panel")
            assert serious(page) == [], path
            assert too_wide(page) <= 0, path
            assert not_taken_along(page) == [], path
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/{path.strip('/')}-{scheme}-{width}.png", full_page=True)


def test_what_came_in_and_why_some_was_dropped_shows_as_it_happens(site: Week, operator: Callable[..., Any]) -> None:
    """Receipts by reason, exact because only the operator sees them; a new request is there without a reload."""
    page = operator("/ingest")
    wish = {"kind": "write", "scopes": ["events"], "label": "live"}
    token = site.amber.admin.post("/v1/admin/tokens", wish)["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    good = {
        "app": "amber", "action": "buy", "timestamp": datetime.now(UTC).isoformat(), "user_id": "u", "event_id": "e-1",
        "attributes": {"kind": "book"}, "consent": ["analytics"],
    }  # fmt: skip
    body = json.dumps(
        [good, {**good, "event_id": "e-2", "consent": []}, {**good, "event_id": "e-3", "app": 7}]
    ).encode()
    request = urllib.request.Request(f"{site.amber.url}/v1/events", body, headers)
    with urllib.request.urlopen(request, timeout=20) as reply:
        receipt = json.load(reply)
    assert (receipt["accepted"], receipt["filtered"], len(receipt["rejected"])) == (1, {"no_consent": 1}, 1), receipt
    page.wait_for_selector("#reasons >> text=filtered: no consent")
    page.wait_for_selector("#reasons .tag >> text=rejected")
    kept = sum(one["accepted"] or 0 for one in site.amber.admin.get("/v1/ingest/recent")["requests"])
    assert f"{kept:,} " in page.text_content("#receipts .figure")
    assert "1 kept, 1 no consent, 1 rejected" in page.text_content("#requests tbody tr")


def test_a_tried_event_is_shown_before_and_after_and_is_never_stored(site: Week, operator: Callable[..., Any]) -> None:
    """What is not declared is not on the right side; a signal drops it; the node has counted nothing."""
    page = operator("/ingest")
    known = site.amber.admin.get("/v1/ingest/recent")["requests"]
    page.wait_for_selector("#after >> text=and nothing else")  # the example is tried as the page opens
    assert "not.declared@example.org" in page.input_value("#event")
    after = page.text_content("#after")
    assert "not.declared" not in after
    assert "somebody" not in after
    assert '"country": "DE"' in after
    page.select_option("#choose-gpc", "1")
    page.click("#try")
    page.wait_for_selector("#after >> text=Global Privacy Control: nothing is stored")
    page.fill("#event", '{"app": "amber"')
    page.click("#try")
    page.wait_for_selector("#after >> text=refused")
    assert site.amber.admin.get("/v1/ingest/recent")["requests"] == known
    page.select_option("#choose-page", "buy")
    page.wait_for_selector('#snippet-text >> text=data-page="buy" data-consent="required"')


def test_a_change_is_made_by_typing_its_name(site: Week, operator: Callable[..., Any]) -> None:
    """An API key is shown once and revoked, the signing key rotates; nothing happens before the name is typed."""
    page, admin = operator("/admin"), site.amber.admin
    page.fill("#token-label", "made here")
    page.click("#make-token")
    page.wait_for_selector("#token-made code")
    made = next(one for one in admin.get("/v1/admin/tokens")["tokens"] if one["label"] == "made here")
    page.click(f"#revoke-{made['id']}")
    page.fill("#typed", "something else")
    assert page.locator("#help button >> text=Revoke").is_disabled()
    page.fill("#typed", made["id"])
    page.keyboard.press("Enter")
    page.wait_for_selector("#help >> text=Done.")
    assert next(one for one in admin.get("/v1/admin/tokens")["tokens"] if one["id"] == made["id"])["revoked_at"]
    page.keyboard.press("Escape")
    before = admin.get("/v1/admin/keys/signing")["signing_key"]
    page.click("#rotate")
    page.fill("#typed", "amber")
    page.keyboard.press("Enter")
    page.wait_for_selector("#help >> text=The new signing key is")
    now = admin.get("/v1/admin/keys/signing")["signing_key"]
    assert now != before
    page.wait_for_selector("#audit-rows >> text=POST /v1/admin/keys/rotate")
    assert now[:16] in page.text_content("#help")


def test_a_link_with_a_key_opens_the_page_and_keeps_nothing_in_the_address(browser: Any, site: Week, key: str) -> None:
    """As `murmur demo` prints it: the key stands after #, which no server sees, and is gone once it was read."""
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.amber.admin_url}/admin#key={key}")
    page.wait_for_selector("#token-rows")
    assert page.evaluate("location.href") == f"{site.amber.admin_url}/admin"
    assert not any(key in url for url in asked)
    context.close()


def test_a_key_that_may_only_read_opens_no_operators_page(site: Week, operator: Callable[..., Any]) -> None:
    wish = {"kind": "read", "scopes": [], "label": "reads"}
    reader = site.amber.admin.post("/v1/admin/tokens", wish)["token"]
    page = operator("/admin", reader)
    assert page.locator("main > *").count() == 0
    assert page.locator("#status input[type=password]").count() == 1


def test_a_proposal_stands_in_words_with_who_is_missing_and_how_to_approve(
    site: Week, operator: Callable[..., Any]
) -> None:
    words = site.amber.admin.get("/v1/admin/charter/words")
    [proposal] = words["proposals"]
    page = operator("/admin")
    told = page.text_content("#deciding")
    assert proposal["changes"]
    assert page.locator("#deciding section li").all_text_contents() == proposal["changes"]
    assert any("1/30" in line for line in proposal["changes"])
    assert f"{proposal['approvals']} of {proposal['needed']} have approved, not yet: birch, cedar" in told
    command = page.text_content("#deciding pre")
    assert command == f"murmur charter approve --governance-key FILE   # {proposal['fingerprint']}"
    assert words["trusted"]["fingerprint"] in told
    signs = page.locator("#deciding button:not(.tools button)")
    assert signs.count() == 0, "a browser holds no governance key, so it signs nothing"


def test_a_request_to_join_is_turned_down_by_typing_its_name(site: Week, operator: Callable[..., Any]) -> None:
    [asking] = site.amber.admin.get("/v1/admin/charter/words")["requests"]
    page = operator("/admin")
    row = page.text_content("#request-rows tbody tr")
    assert "dune" in row
    assert asking["fingerprint"] in row
    assert "murmur federation approve NAME --governance-key FILE" in page.text_content("#asking")
    page.click(f"#refuse-{asking['node'][:16]}")
    page.keyboard.press("Enter")
    page.fill("#typed", "dun")
    assert page.locator("#help button >> text=Turn down").is_disabled()
    assert site.amber.admin.get("/v1/admin/charter/words")["requests"] == [asking]
    page.fill("#typed", "dune")
    page.keyboard.press("Enter")
    page.wait_for_selector("#help >> text=Done.")
    page.wait_for_selector("#asking >> text=Nobody asks")
    assert site.amber.admin.get("/v1/admin/charter/words")["requests"] == []


def test_what_an_operator_takes_along_is_what_is_on_screen(site: Week, operator: Callable[..., Any]) -> None:
    """Keys as CSV, Parquet and JSON, by the admin key alone; the code names the key's kind, never the key."""
    page = operator("/admin")
    page.wait_for_selector("#token-rows")
    read = "(all) => all.map((one) => [...one.cells].slice(0, -1).map((cell) => cell.textContent))"
    shown = page.eval_on_selector_all("#token-rows tbody tr", read)

    def saved(kind: str) -> Path:
        with page.expect_download() as download:
            page.click(f"#tokens .tools >> text={kind}")
        return Path(download.value.path())

    header, *rows = csv.reader(io.StringIO(saved("CSV").read_text()))
    assert header == ["Key", "For", "May", "Label", "From", "Since", "Until"], "buttons are no data"
    assert rows == shown
    assert [list(row.values()) for row in pyarrow.parquet.read_table(saved("Parquet")).to_pylist()] == shown
    assert json.loads(saved("JSON").read_text()) == site.amber.admin.get("/v1/admin/tokens")
    told = page.text_content("#tokens-code")
    assert "Bearer ma_…" in told
    secret = page.evaluate("sessionStorage.getItem('murmur-key')")
    assert secret.startswith("ma_")
    assert secret not in page.content()


def test_hostile_names_are_text_on_the_operators_pages(site: Week, operator: Callable[..., Any]) -> None:
    """Markup, right to left and 300 characters as names of peers, who asks, labels of keys, lines of a proposal."""
    page = operator("/ingest", viewport={"width": 360, "height": 900})
    dialogs = poison(page, r"/v1/(admin|ingest|federation)")
    for path in OPERATOR_PAGES:
        page.goto(site.amber.admin_url + path)
        page.wait_for_selector("main > .panel")
        assert page.locator("main img, main script, #status img").count() == 0
        assert too_wide(page) <= 0, path
    assert dialogs == []
    assert any(name in page.text_content("main") for name in HOSTILE)


def test_who_came_back_is_a_grid_of_released_shares(browser: Any, site: Week) -> None:
    """Each share with its interval as the API has it; what the week does not reach is a dash, the rest is hatched."""

    def figures() -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{site.amber.url}/v1/insights/returns?last=1", timeout=20) as reply:
                found: list[dict[str, Any]] = json.load(reply)["data"]["figures"]
        except urllib.error.HTTPError:
            return []  # not built yet, or not released yet
        return found

    until(lambda: bool(figures()), "the week is released", 60)
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    grid = page.locator("#retention-returns .flow")
    before: list[dict[str, Any]] | None = None
    while before != (now := figures()):  # another node may release while the page is drawn
        before = now
        page.goto(f"{site.amber.url}/journeys?last=1")
        grid.wait_for()
    rates = {row["name"]: row for row in now if row["kind"] == "rate" and not row["key"]}
    for cohort, row in enumerate(grid.locator("tbody tr").all(), 1):
        cells = row.locator("td").all()[1:]
        for age, cell in enumerate(cells, 1):
            text, marks = cell.text_content(), cell.get_attribute("class").split()
            rate = rates.get(f"cohort {cohort} age {age}")
            if cohort + age > 7:
                assert (text, rate) == ("–", None), "nobody can come back after the week"
            elif rate["status"] == "ok":
                share = page.evaluate(PERCENT, float(rate["estimate"]))
                assert text.startswith(f"{share} ± ")
            else:
                assert "cx" in marks, "hatched, and said"
                assert text in ("too few to say", "too noisy to say")
    assert rates["cohort 1 age 1"]["status"] == "ok", "400 people began on Monday"
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/journeys-retention.png", full_page=True)
    context.close()
