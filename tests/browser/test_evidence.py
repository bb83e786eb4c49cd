"""What the pages prove and hand out, on four real nodes: exports, opt-out, verified releases, the mesh's state.

Debian's Chromium, nothing fetched. An answer is altered on its way only where a state cannot be had at will.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shlex
import urllib.request
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from node.client import Client, Unavailable
from node.dashboard import PAGES, PUBLIC_PAGES
from tests.browser.site import Site, make_site
from tests.browser.watching import HOSTILE, Watched, needs_chromium, not_taken_along, until
from tests.integration.small_federation import DAYS

pytestmark = needs_chromium
ALL_PAGES = [*PAGES, *PUBLIC_PAGES]
RELEASED = 3 * 3 * DAYS + 4 * DAYS  # three metrics of three nodes, and four of amber's own


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = make_site(tmp_path_factory.mktemp("site"))
    try:
        until(lambda: made.released("amber") == RELEASED, "three nodes have released everything", 60)
        yield made
    finally:
        made.close()


def test_what_is_taken_along_is_what_is_on_screen(watched: Callable[..., Watched], site: Site, tmp_path: Path) -> None:
    """CSV, JSON, Parquet, the Python and the SQL of a panel: the same numbers, for the question as it was narrowed."""
    page = watched().open("/explore?metric=people_by_country&tab=table&last=2&level=0.80&where=country:DE,FR,NZ")
    page.wait_for_selector("#explore-cells")
    shown = [row.replace(",", "") for row in page.locator("#explore-cells tbody td:nth-child(2)").all_text_contents()]

    def saved(name: str) -> Path:
        with page.expect_download() as download:
            page.click(f"#result .tools >> text={name}")
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    assert [line.split(",")[2] for line in saved("CSV").read_text().strip().splitlines()[1:]] == shown
    answer = json.loads(saved("JSON").read_text())["data"]
    rows = [*answer["cells"], *([answer["hidden"]] if answer["hidden"] else []), answer["total"]]
    assert [str(row["estimate"]) for row in rows] == shown
    table = pyarrow.parquet.read_table(saved("Parquet")).to_pylist()
    assert {str(row["estimate"]) for row in table if row["shown"]} <= set(shown)
    page.click("#result-code summary")
    names = page.locator("#result-code [role=tab]").all_text_contents()
    assert names == ["Python", "curl", "CLI", "SQL"]
    found: dict[str, Any] = {}
    exec(page.text_content("#result-code-Python pre").replace("answer.to_pandas()", ""), found)
    assert found["answer"].data == answer
    page.click("#result-code-tab-SQL")
    statement = page.text_content("#result-code-SQL pre").removeprefix("murmur sql '").removesuffix("'")
    raw = site.get("amber", "/v1/insights/people_by_country?last=2&where=country:DE,FR,NZ&raw=1")["data"]
    expected = sorted(cell["estimate"] for cell in raw["cells"])

    def summed() -> list[float]:
        try:
            rows = Client(site.url("amber")).sql(statement.replace("'\\''", "'")).to_dicts()
        except Unavailable:
            return []  # before the first build
        return sorted(row["estimate"] for row in rows)

    until(lambda: summed() == expected, "the commons, which follows in the background, has the same", 60)
    page.keyboard.press("ArrowLeft")
    assert page.locator('#result-code [aria-selected="true"]').text_content() == "CLI"
    line = page.text_content("#result-code-CLI pre")
    assert line == "murmur query people_by_country --last 2 --level 80 --where country:DE,FR,NZ"
    curl = shlex.split(page.text_content("#result-code-curl pre"))
    with urllib.request.urlopen(curl[1], timeout=20) as reply:
        assert json.load(reply)["data"] == answer


def test_every_panel_can_be_taken_along_and_its_table_is_what_is_saved(watched: Callable[..., Watched]) -> None:
    """On every page: each panel with a table offers files, code, a link and how to cite; the CSV is that table."""
    one = watched()
    page = one.open("/")
    seen = 0
    for path in (*PUBLIC_PAGES, *PAGES):  # the releases last
        page.goto(one.origin + path)
        page.wait_for_selector("main > .panel, main > .empty")
        assert not_taken_along(page) == [], path
        seen += page.locator("main > .panel:has(table)").count()
    assert seen > 20
    with page.expect_download() as download:
        page.click("#list .tools >> text=CSV")
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[1:] == [
        ",".join(cell.strip() for cell in row.locator("td").all_text_contents())
        for row in page.locator("#release-rows tbody tr").all()
    ]
    page.click("#list-cite summary")
    assert "/v1/releases" in page.text_content("#list-cite pre")


def test_a_line_is_taken_along_window_by_window(watched: Callable[..., Watched], site: Site) -> None:
    """Over time, the files have the windows that are on screen, and of Platforms each node's own number."""
    one = watched()
    series = site.newest("amber", "people")["series"]
    names = ("window", "estimate", "lower", "upper", "sigma")
    for path, panel in (("/explore?metric=people&tab=line", "#result"), ("/?metric=people", "#main-panel")):
        page = one.open(path)
        page.wait_for_selector(f"{panel} .tools")
        with page.expect_download() as saved:
            page.click(f"{panel} .tools >> text=CSV")
        rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())))
        assert rows == [{name: str(row[name]) for name in names} for row in series]
    with page.expect_download() as saved:
        page.click("#main-panel .tools >> text=Parquet")
    rows = pyarrow.parquet.read_table(saved.value.path()).to_pylist()
    assert rows == [{name: row[name] if name == "window" else float(row[name]) for name in names} for row in series]
    page = one.open("/platforms?metric=people")
    page.wait_for_selector("#platforms .tools")
    with page.expect_download() as saved:
        page.click("#platforms .tools >> text=CSV")
    for row in csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())):
        total = site.get("amber", f"/v1/insights/people?last=7d&nodes={row['Node']}")["data"]["total"]
        assert row["Estimate"] == (f"{total['estimate']:,}" if total else "–")


def test_every_table_is_a_parquet_file_too(watched: Callable[..., Watched], tmp_path: Path) -> None:
    """Written in the page where the API has none, and read by another library: names, texts, numbers, nothing."""
    one = watched()

    def saved(panel: str) -> pyarrow.Table:
        with page.expect_download() as download:
            page.click(f"{panel} .tools >> text=Parquet")
        download.value.save_as(tmp_path / "saved.parquet")
        return pyarrow.parquet.read_table(tmp_path / "saved.parquet")

    page = one.open("/budget")
    page.wait_for_selector("#guarantees")
    found = saved("#guarantees")
    assert str(found.schema.field(1).type) == "double"
    shown = page.locator("#guarantees tbody tr").all()
    rows = [[float(text) for text in row.locator("td.number").all_text_contents()] for row in shown]
    assert [[*row.values()][1:] for row in found.to_pylist()] == rows
    assert "amber, charged so far, day epochs" in found.column("Who").to_pylist()
    assert found.schema.metadata[b"source"] == f"{one.origin}/v1/budget".encode()
    page = one.open("/mesh")
    assert set(saved("#nodes").column("Node").to_pylist()) == {"amber", "birch", "cedar", "dune"}
    page = one.open("/privacy")
    assert (
        saved("#app-amber").column("Kept").to_pylist() == page.locator("#app-amber td:last-child").all_text_contents()
    )
    names = [f"column {i}" for i in range(20)]
    columns = [
        {"name": "whole", "values": [-1, None, 2**53 - 1, 0] * 70},
        {"name": "part", "values": [0.1, -2.5, None, 1] * 70},
        {"name": "text", "values": [*HOSTILE, ""] * 70},
        *({"name": name, "values": [name] * 280} for name in names),
    ]
    for count in (280, 0, 1):
        chosen = [{**one, "values": one["values"][:count]} for one in columns]
        written = page.evaluate(
            """async ([columns, count]) => {
              const { parquet } = await import("/static/parquet.js");
              return [...parquet(columns, count)];
            }""",
            [chosen, count],
        )
        read = pyarrow.parquet.read_table(io.BytesIO(bytes(written)))
        assert read.column_names == ["whole", "part", "text", *names]
        assert read.to_pydict() == {one["name"]: one["values"] for one in chosen}
        assert str(read.schema.field("text").type) == "string"


def test_a_link_opens_the_same_panel_in_the_same_state(watched: Callable[..., Watched]) -> None:
    one = watched()
    page = one.open("/explore?metric=bought&last=2&level=0.99&tab=table")
    page.wait_for_selector("#result")
    before = page.text_content("#result")
    other = watched().open(page.locator("#result .tools a >> text=Link").get_attribute("href"))
    other.wait_for_selector("#result")
    assert other.text_content("#result") == before
    assert other.evaluate("location.hash") == "#result"


def test_the_opt_out_needs_no_login_and_holds_in_the_script(watched: Callable[..., Watched], site: Site) -> None:
    """A page sends; after the switch it sends nothing, what waited is gone, and the visit is withdrawn at the node."""
    one = watched()
    origin = site.url("amber")
    wish = {"kind": "write", "scopes": ["events"], "label": "page", "origins": [origin]}
    key = site.places["amber"].admin.post("/v1/admin/tokens", wish)["token"]
    script = f'<script src="/client.js" data-key="{key}" data-app="amber" data-consent="required"></script>'
    one.page.route("**/shop", lambda route: route.fulfill(content_type="text/html", body=f"<title>x</title>{script}"))

    def open_shop() -> None:
        one.page.goto(f"{origin}/shop")
        one.page.wait_for_function("!!window.murmur")

    open_shop()
    with one.page.expect_response("**/v1/events?*") as first:
        one.page.evaluate("murmur.consent(['analytics']); murmur('look'); murmur.flush()")
    assert first.value.status == 202
    visit = one.page.evaluate("sessionStorage.getItem('murmur:s')")
    one.page.goto(f"{origin}/privacy")
    switch = one.page.locator("#opt-out")
    switch.wait_for()
    assert switch.get_attribute("aria-checked") == "false"
    one.page.evaluate("localStorage.setItem('murmur:q', '[]')")
    switch.focus()
    one.page.keyboard.press("Space")
    assert switch.get_attribute("aria-checked") == "true"
    assert "you are out" in one.page.text_content("#opted")
    assert one.page.evaluate("localStorage.getItem('murmur:q')") is None
    one.page.reload()
    one.page.wait_for_selector('#opt-out[aria-checked="true"]')
    known = len(one.requests)
    with one.page.expect_response("**/v1/consent?*") as told:
        open_shop()
    assert told.value.status == 202
    assert json.loads(told.value.request.post_data) == [{"session_id": visit, "withdraw": "all"}]
    one.page.evaluate("murmur('look'); murmur.flush()")
    one.page.goto(f"{origin}/privacy")
    one.page.click("#opt-out")
    assert one.page.locator("#opt-out").get_attribute("aria-checked") == "false"
    assert not [url for url in one.requests[known:] if "/v1/events" in url], "whoever is out sends nothing"
    assert one.context.cookies() == []


def test_what_this_request_would_leave_is_said_without_looking_anybody_up(
    watched: Callable[..., Watched], site: Site
) -> None:
    """Before and after for each part of the request, values from the browser itself; a signal drops all of it."""
    page = watched(user_agent="Marker/1.0").open("/privacy")
    rows = page.locator("#request-rows tbody tr").all_text_contents()
    agent = next(row for row in rows if row.startswith("User-Agent"))
    assert "Marker/1.0" in agent
    assert agent.endswith("dropped, unread")
    assert any(row.startswith("Your IP address") and "dropped" in row for row in rows)
    assert "no signal sent" in page.text_content("#request")
    told = page.text_content("#risk table")
    for spans in site.get("amber", "/privacy.json")["guarantees"]["at_the_cap"].values():
        assert all(f"{float(span['epsilon']):.2f}" in told for span in spans)
    signalled = watched(extra_http_headers={"Sec-GPC": "1"}).open("/privacy")
    assert "Global Privacy Control is on" in signalled.text_content("#request")
    assert "dropped whole" in signalled.text_content("#request")


def vectors(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(__file__).parents[2] / "specs" / "vectors" / "v1" / name).read_text())
    return found


def test_a_release_is_verified_in_the_page_and_a_changed_one_refused(
    watched: Callable[..., Watched], site: Site
) -> None:
    """From the proof bundle: numbers, data, header, signature, birth record; another number, byte or key is refused."""
    one = watched()
    page = one.open("/releases")
    page.click("#verify")
    page.wait_for_selector("#verified >> text=verified")
    assert page.locator("#verified .steps li").count() == 5

    def refused(change: Callable[[dict[str, Any]], None], why: str) -> None:
        def changed(route: Any) -> None:
            document = route.fetch().json()
            change(document["data"])
            route.fulfill(json=document)

        page.route(re.compile("/v1/releases/"), changed)
        page.reload()
        page.click("#verify")
        page.wait_for_selector("#verified .tag.bad")
        assert why in page.text_content("#verified")
        page.unroute(re.compile("/v1/releases/"))

    refused(lambda data: data["cells"][0].update(units=data["cells"][0]["units"] + 1), "numbers shown")
    refused(lambda data: data["signed"].update(data="00" + data["signed"]["data"][2:]), "data are not the ones")
    refused(lambda data: data.update(node="0" * 64), "another author")

    release = site.get("amber", f"/v1/releases/{page.text_content('#content dd code')}")["data"]
    header = bytes.fromhex(release["signed"]["header"])

    def flipped(route: Any) -> None:
        body = bytearray(route.fetch().body())
        body[body.index(header) + len(header) + 10] ^= 1  # in the signature, which follows the header
        route.fulfill(body=bytes(body))

    page.route(re.compile("/v1/proofs/"), flipped)
    page.reload()
    page.click("#verify")
    page.wait_for_selector("#verified >> text=the signature is not this key's")


def test_the_pages_key_and_signature_checks_are_those_of_the_vectors(watched: Callable[..., Watched]) -> None:
    """Every small-order, non-canonical and mixed-order key, every forged signature of specs/vectors is refused."""
    page = watched().open("/releases")
    keys, signatures = vectors("keys.json"), vectors("signatures.json")
    found = page.evaluate(
        """async ([keys, signatures]) => {
          const { isSigned, isSoundPoint } = await import("/static/curve.js");
          const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
          const points = (rows) => rows.map((row) => isSoundPoint(bytes(row.key)));
          const verdict = (row) => isSigned(bytes(row.key), bytes(row.signature), bytes(row.message));
          const signed = (rows) => Promise.all(rows.map(verdict));
          return { good: points(keys.accepted), bad: points(keys.refused), signed: await signed(signatures.accepted),
            forged: await signed([...signatures.refused, ...signatures.refused_by_the_key_rule]) };
        }""",
        [keys, signatures],
    )
    assert all(found["good"])
    assert not any(found["bad"])
    assert all(found["signed"])
    assert not any(found["forged"])
    assert len(found["bad"]) == len(keys["refused"]) > 50


def test_the_mesh_shows_clocks_lag_keys_and_quarantine_in_words_and_shapes(watched: Callable[..., Watched]) -> None:
    """A node whose clock is off, one that lags and one that signed two histories are told apart without colour."""
    one = watched(reduced_motion="reduce")

    changes = {"birch": {"skew_ms": -300_000}, "cedar": {"in_step": False, "missing_here": 3}}

    def altered(route: Any) -> None:
        document = route.fetch().json()
        data = document["data"]
        for member in data.get("members", []):
            member["frozen"] = member["name"] == "birch"
        for peer in [*data.get("peers", []), *document["metadata"].get("peers", [])]:
            if peer["state"] != "self":  # whatever a loaded machine makes of it
                peer["state"] = "ok"
        for peer in data.get("peers", []):
            peer.update({"in_step": True, "skew_ms": 12, **changes.get(peer["name"], {})})
        for key in data.get("keys", []):
            key["since"] = "2020-01-01T00:00:00Z"
        route.fulfill(json=document)

    one.page.route(re.compile(r"/v1/(federation|peers|keys)$"), altered)
    page = one.open("/mesh")
    rows = {row.split("\n")[0]: row for row in page.locator("#nodes tbody tr").all_inner_texts()}
    row = {
        name: next(text for start, text in rows.items() if start.startswith(name))
        for name in ("birch", "cedar", "dune")
    }
    assert "quarantined" in row["birch"]
    assert "▲-300 s" in row["birch"].replace("▲\n", "▲")
    assert "3 entries to come" in row["cedar"]
    assert "in step" in row["dune"]
    assert "under 1 s" in row["dune"]
    assert all(re.search(r"[0-9],[0-9]{3} days", text) for text in row.values())
    assert page.locator("#ring .node.down rect").count() == 1, "a square, not only a colour"
    assert page.locator("#ring .node.down .mark").text_content() == "!"


COUNT_PULSES = """() => {
  window.pulses = 0;
  const isPulse = (one) => one.classList?.contains("pulse");
  new MutationObserver((changes) => {
    for (const change of changes) window.pulses += [...change.addedNodes].filter(isPulse).length;
  }).observe(document.body, {childList: true, subtree: true});
}"""


@pytest.mark.slow
def test_edges_pulse_for_real_messages_only_and_not_where_motion_is_unwanted(watched: Callable[..., Watched]) -> None:
    """Dots run while peers speak; with the last words frozen none does; with reduced motion none is drawn at all."""
    still = watched(reduced_motion="reduce")
    still.open("/mesh").evaluate(COUNT_PULSES)
    one = watched()
    page = one.open("/mesh")
    page.evaluate(COUNT_PULSES)
    page.wait_for_function("() => window.pulses > 1", timeout=20_000)
    seen: list[Any] = []

    def silent(route: Any) -> None:
        document = route.fetch().json()
        seen.append(document["metadata"]["peers"])
        for peer, first in zip(document["metadata"]["peers"], seen[0], strict=True):
            peer["last_heard"] = first["last_heard"]
        route.fulfill(json=document)

    one.page.route(re.compile("/v1/federation"), silent)
    until(lambda: page.evaluate("1") == 1 and len(seen) > 1, "the page asks again")
    page.evaluate("window.pulses = 0")
    asked = len(seen)
    until(lambda: page.evaluate("1") == 1 and len(seen) > asked + 2, "and again")
    assert page.evaluate("window.pulses") == 0
    assert still.page.evaluate("window.pulses") == 0


def test_the_budget_explains_what_was_refused_and_where_it_leads(watched: Callable[..., Watched], site: Site) -> None:
    """Meter, forecast and ledger from the API's figures; a release refused for its cost is named with its reason."""
    one = watched()

    def refuse(route: Any) -> None:
        document = route.fetch().json()
        member = next(one for one in document["data"]["members"] if one["name"] == "birch")
        member["without"] = [{"reason": "budget", "windows": ["2026-11-01/P1D", "2026-11-02/P1D"]}]
        route.fulfill(json=document)

    one.page.route(re.compile("/v1/insights/price"), refuse)
    page = one.open("/budget")
    page.wait_for_selector("#refusal-rows")
    first = page.locator("#refusal-rows tbody tr").first.text_content()
    assert "refused" in first
    assert "birch" in first
    assert "Price (2 days)" in first
    assert "nothing was spent" in first
    budget = site.get("amber", "/v1/budget")["data"]
    cap = next(Fraction(row["rho"]) for row in budget["promised"] if row["length"] == "day")
    for row in budget["charged"]:
        share = f"{round(100 * Fraction(row['rho']) / cap)}%"
        assert any(row["name"] in text and share in text for text in page.locator("#meters p").all_text_contents())
        assert any(
            row["name"] in text and share in text for text in page.locator("#forecast tbody tr").all_text_contents()
        )
    worst = max(float(row["guarantees"][0]["epsilon"]) for row in budget["charged"])
    assert f"{100 / (1 + math.exp(-worst)):.0f} in 100" in page.text_content("#risk")
    page.locator("#slide").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**within=**")
    page.click("#ledger a >> text=Bought")
    page.wait_for_url("**/releases?**metric=bought**")
    page.wait_for_selector("#release-rows")
    assert set(page.locator("#release-rows tbody tr td:first-child").all_text_contents()) == {"Bought"}


def test_only_what_is_more_than_the_noise_is_called_a_change(watched: Callable[..., Watched]) -> None:
    """Of three groups one changed by ten sigma: it alone is listed; the others stand in the table, unmarked."""
    one = watched()

    def compared(route: Any) -> None:
        document = route.fetch().json()
        data = document["data"]
        last = data["windows"]
        row = {"before": 500, "sigma": "20", "verdict": "could_be_noise"}
        cells = [
            {**row, "key": {"country": "DE"}, "difference": 20, "lower": -20, "upper": 60},
            {**row, "key": {"country": "FR"}, "difference": 45, "lower": 5, "upper": 85, "verdict": "real"},
            {**row, "key": {"country": "NZ"}, "difference": -200, "lower": -240, "upper": -160, "verdict": "real"},
        ]
        total = {**row, "key": {}, "difference": 5, "lower": -35, "upper": 45}
        windows = [last["first"]] * last["count"]
        data["compare"] = {"same_members": True, "windows": windows, "total": total, "cells": cells}
        route.fulfill(json=document)

    one.page.route(re.compile("/v1/insights/people_by_country"), compared)
    one.page.route(re.compile("/v1/metrics$"), lambda route: route.fulfill(json=only(route, "people_by_country")))
    page = one.open("/?metric=people_by_country&last=1")
    page.wait_for_selector("#changes .figure")
    listed = page.locator("#changes > ul li").all_text_contents()
    assert len(listed) == 1, "45 ± 40 is real by itself, not among three looked at together"
    assert "New Zealand" in listed[0]
    assert "▼" in listed[0]
    assert "No change beyond the noise" in page.text_content("#changes .figure")


def only(route: Any, metric: str) -> dict[str, Any]:
    """The catalogue with one metric in it, from a day so long ago that there is a span before."""
    document: dict[str, Any] = route.fetch().json()
    rows = [row for row in document["data"]["metrics"] if row["metric"] == metric]
    document["data"]["metrics"] = [{**row, "from": "2020-01-01T00"} for row in rows]
    return document


def test_us_and_the_others_needs_three_who_contribute(watched: Callable[..., Watched]) -> None:
    """With two, each would know the other's number by subtraction: nothing is shown, and nothing is asked."""
    one = watched()

    def two(route: Any) -> None:
        document = route.fetch().json()
        for member in document["data"]["members"][2:]:
            member["windows"] = 0
        route.fulfill(json=document)

    page = one.open("/platforms?metric=people")
    page.wait_for_selector("#us .bars")
    assert page.locator("#us .bars li").count() == 2
    one.page.route(re.compile("/v1/insights/people"), two)
    one.requests.clear()
    page = one.open("/platforms?metric=people")
    page.wait_for_selector("#us .empty >> text=from 3 contributing nodes on")
    assert not [url for url in one.requests if "%2C" in url.partition("nodes=")[2]]


@pytest.mark.slow
def test_each_key_of_the_help_does_what_it_says(watched: Callable[..., Watched]) -> None:
    """Spans, moving them, comparing, clearing; G and a letter to every page of the rail."""
    one = watched()
    page = one.open("/explore?metric=people_by_country&where=country:DE&by=total")
    page.wait_for_selector("#result")
    page.keyboard.press("?")
    told = page.text_content("#help")
    page.keyboard.press("Escape")
    assert "where" in page.url, "closing the help clears nothing"
    for key, address in (("w", "explore"), ("m", "last=30d"), ("d", "last=1"), ("x", "compare=previous")):
        page.keyboard.press(key)
        page.wait_for_url(f"**{address}**")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !/where|by=|compare/.test(location.search)")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**from=**to=**")
    page.keyboard.press("ArrowRight")
    for letter, name in re.findall(r"G ([A-Z])([A-Z][a-z]+)", told):
        page.keyboard.press("g")
        page.keyboard.press(letter.lower())
        page.wait_for_url(re.compile(rf"/{'' if name == 'Overview' else name.lower()}(\?|$)"))
        page.wait_for_selector(f'#pages [aria-current="page"] >> text={name}')
    assert len(re.findall(r"G [A-Z]", told)) == len(ALL_PAGES)


def test_each_chart_has_a_sentence_and_a_table(watched: Callable[..., Watched]) -> None:
    """Whatever is drawn is said in words above it, and stands as a table beside it."""
    one = watched()
    page = one.open("/")
    drawn = 0
    for path in ("/", "/explore?metric=people_by_country", "/map", "/platforms", "/rhythm", "/budget"):
        page.goto(one.origin + path)
        page.wait_for_selector("main > .panel")
        found = page.eval_on_selector_all(
            "main > .panel:has(.bars, .map, .heat, .line, .meter, .spark)",
            "(all) => all.map((one) => [one.id, one.querySelectorAll('.summary').length, "
            "one.querySelectorAll('table:not(.heat)').length])",
        )
        drawn += len(found)
        for name, sentences, tables in found:
            assert sentences == 1, (path, name)
            assert tables >= 1 or name == "planner", (path, name)
    assert drawn > 10


def test_what_a_bound_took_off_is_said_beside_the_noise(watched: Callable[..., Watched]) -> None:
    one = watched()

    def clipped(route: Any) -> None:
        document = route.fetch().json()
        document["data"]["clipped"] = {"estimate": 40, "lower": 30, "upper": 50, "sigma": "5"}
        route.fulfill(json=document)

    page = one.open("/explore?metric=bought")
    assert page.locator("#clipped").count() == 0
    one.page.route(re.compile("/v1/insights/bought"), clipped)
    page = one.open("/explore?metric=bought")
    page.wait_for_selector("#clipped >> text=40 ± 10 people did more than a bound lets through")
