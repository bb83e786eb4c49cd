"""The dashboard's files: every page loads from its own node only, writes text and never markup, and stays small."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from node.dashboard import CONTENT_SECURITY_POLICY, FOLDER, PAGES, PUBLIC_PAGES, Dashboard, load_files

Client = TestClient[web.Request, web.Application]
OWN_MODULES = sorted(path for path in FOLDER.rglob("*.js") if "vendor" not in path.parts)
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json"}
LIMIT_BYTES = 200_000  # everything, gzip, over the wire (issue 8)
ALL_PAGES = sorted({**PAGES, **PUBLIC_PAGES})


@pytest.fixture
async def client(aiohttp_client: Callable[..., Awaitable[Client]]) -> Client:
    app = web.Application()
    dashboard = Dashboard()
    app.router.add_routes([*dashboard.routes(), *dashboard.public_routes()])
    return await aiohttp_client(app)


class Collector(HTMLParser):
    """Tags with their attributes, and whatever stands inside script and style."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_data(self, data: str) -> None:
        self.inline += data.strip() if self._inside else ""


@pytest.mark.parametrize("path", ALL_PAGES)
async def test_a_page_loads_from_its_own_node_only(client: Client, path: str) -> None:
    """No inline script or style, no foreign address, no cookie, and a policy that would stop all three."""
    response = await client.get(path)
    assert response.status == 200
    assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "Set-Cookie" not in response.headers
    page = Collector()
    page.feed(await response.text())
    assert page.inline == ""
    names = set(load_files())
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        for name in ("src", "href"):
            target = attributes.get(name) or "/"
            assert target.startswith(("/", "#")), target
            assert not target.startswith("/static/") or target.removeprefix("/static/") in names


@pytest.mark.parametrize("path", ALL_PAGES)
def test_every_page_has_its_module(path: str) -> None:
    name = "overview" if path == "/" else path.removeprefix("/")
    assert (FOLDER / "pages" / f"{name}.js").is_file()


async def test_every_file_is_served_with_its_type_whole_and_packed(client: Client) -> None:
    for path in FOLDER.rglob("*"):
        if path.suffix not in TYPES:
            continue
        name = path.relative_to(FOLDER).as_posix()
        response = await client.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"})
        assert (response.status, response.content_type) == (200, TYPES[path.suffix]), name
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == path.read_bytes()
        again = await client.get(f"/static/{name}", headers={"If-None-Match": response.headers["ETag"]})
        assert again.status == 304


def test_everything_together_is_small_over_the_wire() -> None:
    """All pages, all modules, all libraries and the map, once: what a visitor of every page receives."""
    assert sum(len(file.packed) for file in load_files().values()) < LIMIT_BYTES
    for file in load_files().values():
        assert gzip.decompress(file.packed) == file.body


@pytest.mark.requirement("M-ENT-12")
@pytest.mark.parametrize("path", OWN_MODULES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_modules_write_text_never_markup(path: Path) -> None:
    """What the API gives is put in as text nodes; nothing is fetched from elsewhere; only the key and a no are kept."""
    source = path.read_text()
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert forbidden not in source
    allowed = {"access.js": ("sessionStorage",), "optout.js": ("sessionStorage", "localStorage")}.get(path.name, ())
    for forbidden in ("localStorage", "sessionStorage", "document.cookie", "cookieStore"):
        assert forbidden not in source or forbidden in allowed
    assert set(re.findall(r"http://[^\"]+", source)) <= {"http://www.w3.org/2000/svg"}
    assert all(host.endswith(".example.org") for host in re.findall(r"https://([^\"/<]*)", source))  # as a placeholder
    for imported in re.findall(r'from "([^"]+)"', source):
        assert (path.parent / imported).resolve().is_relative_to(FOLDER.resolve())
        assert (path.parent / imported).is_file()


def test_the_opt_out_touches_the_scripts_own_marks_and_keeps_one_of_them() -> None:
    """What /privacy writes is what client.js reads, and the only mark it adds besides a withdrawal is the no."""
    source, script = (FOLDER / "optout.js").read_text(), files("node.client_js").joinpath("client.js").read_text()
    names = dict(re.findall(r'^const ([A-Z]+) = "(murmur:\w+)";$', source, re.M))
    assert set(names) == {"OFF", "WAITING", "WITHDRAWN", "SESSION"}
    assert all(f'"{name}"' in script for name in names.values())
    written = re.findall(r"setItem\(([^,]+),", source)
    assert sorted(written) == ['"murmur:try"', "OFF", "WITHDRAWN"]
    assert 'removeItem("murmur:try")' in source


@pytest.mark.parametrize(
    "folder", [FOLDER / "vendor", Path(__file__).parents[2] / "browser" / "vendor"], ids=["page", "test"]
)
def test_files_made_by_others_are_the_ones_that_were_written(folder: Path) -> None:
    """As deploy/dashboard/vendor.mjs left them: digests agree, nothing is missing or added, licences are there."""
    readme = (folder / "README.md").read_text()
    told = dict(reversed(pair) for pair in re.findall(r"^    ([0-9a-f]{64})  (\S+)$", readme, re.M))
    found: dict[str, Any] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    found.pop("README.md")
    assert found == told
    for name in re.findall(r"^- (\S+) \S+$", readme, re.M):
        assert f"LICENSE-{name}.txt" in found
