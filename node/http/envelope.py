"""One envelope for every answer: `{"status": "ok", "data": …, "metadata": …}`, with an entity tag and gzip.

Other forms (NDJSON, CSV, Parquet, Arrow) hold rows alone; what the envelope would say stands in their `.meta.json` twin
(for CSV and NDJSON named by a Link header) and in the schema's metadata of the binary ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from federation.answers import canonical_json
from federation.figure_rows import Json
from federation.judgement import JUDGEMENT_VERSION
from node.commons_db import forms

COMPRESS_FROM_BYTES: Final = 1024
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z


def instant_text(at_s: int | None) -> str | None:
    """An author's claimed time, Unix seconds, as text; a time beyond the calendar is no time."""
    if at_s is None or not 0 <= at_s <= _LAST_SECOND:
        return None
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def served_by(node: bytes, name: str) -> Json:
    """Who answers, and by which version of judgement: equal logs give equal answers where that is equal, too."""
    return {"node": node.hex(), "name": name, "judgement_version": JUDGEMENT_VERSION}


class Envelope:
    """Writes answers of one node.

    Args:
        node, name: Who answers; said in `metadata.served_by`.
    """

    def __init__(self, node: bytes, name: str) -> None:
        self._served_by = served_by(node, name)

    def answered(
        self,
        request: web.Request,
        data: dict[str, Json],
        metadata: dict[str, Json],
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """The envelope as JSON; 304 when the client holds it."""
        return self.told(request, canonical_json(data), metadata, headers)

    def told(
        self,
        request: web.Request,
        data: bytes,
        metadata: dict[str, Json],
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """The same, of data that is canonical JSON already."""
        whole: dict[str, Json] = {**metadata, "served_by": self._served_by}
        body = b'{"status":"ok","data":%b,"metadata":%b}' % (data, canonical_json(whole))
        return tagged(request, body, "application/json", headers)

    def table(
        self,
        request: web.Request,
        form: str,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        about: dict[str, Json],
    ) -> web.Response:
        """Rows in another form; `about` is what the twin says."""
        body = forms.written_rows(names, rows, form, {"murmur": canonical_json(about).decode()})
        headers = {}
        if form in ("csv", "ndjson"):
            asked = request.rel_url  # raw: what is encoded in the question stays encoded in a header
            path = asked.raw_path if asked.raw_path.endswith(f".{form}") else f"{asked.raw_path}.{form}"
            query = f"?{asked.raw_query_string}" if asked.raw_query_string else ""
            headers["Link"] = f'<{path}.meta.json{query}>; rel="describedby"; type="application/json"'
        return tagged(request, body, forms.CONTENT_TYPES[form], headers)


def tagged(
    request: web.Request, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A body with its entity tag, compressed where the client takes it; 304 when it is unchanged."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    all_headers = {
        "ETag": tag,
        "Cache-Control": "no-cache",
        "Vary": "Accept, Accept-Encoding, Authorization",
        "X-Content-Type-Options": "nosniff",
        **(headers or {}),
    }
    if _holds(request, tag):
        return web.Response(status=304, headers=all_headers)
    response = web.Response(body=body, content_type=content_type, headers=all_headers)
    if len(body) >= COMPRESS_FROM_BYTES and "gzip" in request.headers.get("Accept-Encoding", "").lower():
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _holds(request: web.Request, tag: str) -> bool:
    given = request.headers.get("If-None-Match", "")
    return given == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(","))
