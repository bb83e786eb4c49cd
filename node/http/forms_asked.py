"""Which form an answer is asked for in: a suffix of the path, else `Accept`, else JSON."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from node.commons_db.forms import CONTENT_TYPES
from node.errors import RejectedInput

META: Final = ".meta.json"
_BY_TYPE: Final = {
    **{content_type: form for form, content_type in CONTENT_TYPES.items()},
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "*/*": "json",
    "application/*": "json",
    "text/*": "csv",
}


class FormRefused(RejectedInput):
    """No form that the client accepts is one of ours."""

    code = "not_acceptable"
    status = 406


def split_suffix(name: str) -> tuple[str, str | None, bool]:
    """(name, form of its suffix or None, whether its twin with metadata is asked for)."""
    is_meta = name.endswith(META)
    bare = name.removesuffix(META)
    stem, _, suffix = bare.rpartition(".")
    if stem and suffix in CONTENT_TYPES:
        return stem, suffix, is_meta
    return (bare, None, True) if is_meta else (name, None, False)


def form_accepted(request: web.Request) -> str:
    """The form that `Accept` prefers; JSON where it says nothing.

    Raises:
        FormRefused: it names only types that no answer comes in.
    """
    wanted: list[tuple[float, int, str]] = []
    given = [part for part in ",".join(request.headers.getall("Accept", [])).split(",") if part.strip()]
    for place, part in enumerate(given):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if quality > 0 and name in _BY_TYPE:
            wanted.append((-quality, place, _BY_TYPE[name]))
    if wanted:
        return min(wanted)[2]
    if given:
        raise FormRefused(
            what="The request is refused",
            why="no answer comes in a form that its Accept header names",
            fix=f"Accept one of: {', '.join(CONTENT_TYPES.values())}",
            code="not_acceptable",
        )
    return "json"
