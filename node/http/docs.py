"""The reference of the HTTP interface, served by the node: `/docs` for people, `/v1/openapi.yaml` for programs, and
`/docs/errors#CODE`, which every problem document names, for what an error code means.

A page is made from the reference alone, once, when first asked for. No script, no CDN, nothing of this node.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from node.http.envelope import tagged

PLACES: Final = (Path(__file__).with_name("openapi.yaml"), Path(__file__).parents[2] / "specs/api/openapi.yaml")
"""Where the specification lies: beside this file when installed, in the source tree otherwise."""
ERROR_PLACES: Final = (Path(__file__).with_name("errors.md"), Path(__file__).parents[2] / "docs/reference/errors.md")

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}section{border-top:1px solid;margin-top:2rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}"
    ".method{font-weight:700}nav li{list-style:none}"
)


def docs_routes() -> list[web.RouteDef]:
    """The three paths; open to all, for they tell nothing of this node."""

    async def page(request: web.Request) -> web.Response:
        return tagged(request, _page(), "text/html", {"Content-Security-Policy": _policy()})

    async def specification(request: web.Request) -> web.Response:
        return tagged(request, _specification(), "application/yaml")

    async def errors(request: web.Request) -> web.Response:
        return tagged(request, _errors(), "text/html", {"Content-Security-Policy": _policy()})

    return [
        web.get("/docs", page),
        web.get("/docs/errors", errors),
        web.get("/v1/openapi.yaml", specification),
    ]


@lru_cache(maxsize=1)
def _specification() -> bytes:
    return _first_of(PLACES)


def _first_of(places: Sequence[Path]) -> bytes:
    for place in places:
        if place.exists():
            return place.read_bytes()
    raise web.HTTPNotFound


@lru_cache(maxsize=1)
def _errors() -> bytes:
    """docs/reference/errors.md as a page: a section for each code, with the sentences it comes with."""
    title, _, rest = _first_of(ERROR_PLACES).decode("utf-8").partition("\n")
    intro, *sections = re.split(r"^### ", re.sub(r"<!--.*?-->", "", rest, flags=re.DOTALL), flags=re.MULTILINE)
    parts = []
    for section in sections:
        code, _, body = section.partition("\n")
        name = code.strip("`")
        said = "".join(f"<li>{_prose(line.removeprefix('- '))}</li>" for line in body.splitlines() if line.strip())
        parts.append(f'<section id="{escape(name)}"><h2><code>{escape(name)}</code></h2><ul>{said}</ul></section>')
    heading = escape(title.removeprefix("# "))
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{heading}</h1>'
        f'<p>{_prose(" ".join(intro.split()))}</p><p><a href="/docs">The paths of this node</a></p>'
        f"{''.join(parts)}</body></html>"
    )
    return text.encode()


@lru_cache(maxsize=1)
def _policy() -> str:
    from base64 import b64encode

    digest = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@lru_cache(maxsize=1)
def _page() -> bytes:
    import yaml

    spec = yaml.safe_load(_specification())
    operations = [(method.upper(), path, one) for path, item in spec["paths"].items() for method, one in item.items()]
    links = "".join(
        f'<li><a href="#{one["operationId"]}"><code>{method} {escape(path)}</code></a> {escape(one["summary"])}</li>'
        for method, path, one in operations
    )
    sections = "".join(_operation(method, path, one, spec) for method, path, one in operations)
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(spec["info"]["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(spec['info']['title'])}</h1><p>{escape(spec['info']['summary'])}</p>"
        f'<p>{_prose(spec["info"]["description"])}</p><p><a href="/v1/openapi.yaml">OpenAPI 3.1</a>, '
        '<a href="/docs/errors">error codes</a></p>'
        f"<nav><ul>{links}</ul></nav>{sections}</body></html>"
    )
    return text.encode()


def _operation(method: str, path: str, one: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    rows = "".join(_parameter(_resolved(row, spec)) for row in one.get("parameters", ()))
    table = f"<h3>Parameters</h3><table>{rows}</table>" if rows else ""
    answers = "".join(
        f"<tr><th>{escape(str(status))}</th><td>{_prose(str(answer['description']))}</td><td>{_types(answer)}</td></tr>"
        for status, answer in ((status, _resolved(answer, spec)) for status, answer in one["responses"].items())
    )
    return (
        f'<section id="{one["operationId"]}"><h2><span class="method">{method}</span> <code>{escape(path)}</code></h2>'
        f"<p>{_prose(one['summary'])}. {_prose(one.get('description', ''))}</p>{table}"
        f"<h3>Answers</h3><table>{answers}</table>{_codes(one.get('x-problems', ()))}</section>"
    )


def _codes(codes: Sequence[str]) -> str:
    links = ", ".join(f'<a href="/docs/errors#{escape(code)}"><code>{escape(code)}</code></a>' for code in codes)
    return f"<h3>Error codes</h3><p>{links}</p>" if links else ""


def _parameter(row: Mapping[str, Any]) -> str:
    about = " ".join(_words(row))
    return (
        f"<tr><th><code>{escape(row['name'])}</code></th><td>in {escape(row['in'])}</td><td>{_prose(about)}</td></tr>"
    )


def _words(row: Mapping[str, Any]) -> Iterator[str]:
    schema = row.get("schema", {})
    if "description" in row:
        yield str(row["description"])
    if "enum" in schema:
        yield f"One of {', '.join(map(str, schema['enum']))}."
    if "default" in schema:
        yield f"Default {schema['default']}."
    if "example" in row:
        yield f"Such as {row['example']}."


def _prose(text: str) -> str:
    """Escaped, with `code` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _types(answer: Mapping[str, Any]) -> str:
    return "<br>".join(f"<code>{escape(name)}</code>" for name in answer.get("content", {}))


def _resolved(row: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in row:
        return row
    found: Any = spec
    for part in str(row["$ref"]).removeprefix("#/").split("/"):
        found = found[part]
    resolved: Mapping[str, Any] = found
    return resolved
