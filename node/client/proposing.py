"""Asking for a new metric from Python: the charter that adds it is made here and given to the node, unsigned.

It is an operator's act, so the client has to speak to the operator plane: the admin socket, or the admin address with
an `ma_` key. Nothing holds until enough organisations approve (`murmur charter approve`); no key comes near it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.client.errors import BadQuestion, NotAllowed, NotFound

if TYPE_CHECKING:
    from node.client.synchronous import Client

_DAY_S = 86_400


def propose(
    client: Client, definition: Mapping[str, Any] | str | Path, *, from_: str | None, until: str | None,
    accuracy: str | None, people: int, releases: int,
) -> dict[str, Any]:  # fmt: skip
    """As `Client.propose` says."""
    import click

    from node.cli.kit.asked import Asked
    from node.cli.kit.asking_anew import priced
    from node.cli.kit.cataloguing import wishes_for
    from node.cli.kit.founding import metric_of
    from node.cli.kit.proposing import next_charter
    from node.errors import NodeError
    from privacy.errors import PrivacyError
    from protocol.charter_document import CharterDocument

    now = Asked(Path(), *_state(client))
    today = int(time.time()) // _DAY_S
    try:
        tree, name = _tree(definition)
        if accuracy is not None:
            tree, _ = priced(tree, accuracy, people=people, releases=releases)
        metric = metric_of(tree, Path(name))
        start = (today + 1) * 24 if from_ is None else _hour(from_)
        wishes, _ = wishes_for(now, metric, start, None if until is None else _hour(until))
        charter = next_charter([(now.trusted.hash, now.charter)], wishes, int(time.time()))
    except (NodeError, PrivacyError) as error:
        raise BadQuestion(error.what, error.why, error.fix, code=error.code) from error
    except click.ClickException as error:
        raise BadQuestion("Nothing was proposed", error.format_message(), "Mend it", code="usage") from error
    document = CharterDocument(charter.encode())
    body = {"document": document.encode().hex(), "definitions": [metric.body.hex()]}
    client._transport.send("POST", "/v1/admin/charter", json.dumps(body).encode())
    rows = client.proposals(metric.definition.metric)
    return next(row for row in rows if row["charter"]["hash"] == document.hash.hex())


def _state(client: Client) -> tuple[dict[str, Any], list[bytes]]:
    """What the operator plane says of charters, and the chain of them."""
    try:
        chain = client._get("/v1/admin/charter/chain")["charters"]
        return client._get("/v1/admin/charter"), [bytes.fromhex(one["document"]) for one in chain]
    except NotFound as error:
        raise NotAllowed(
            "Nothing was proposed",
            f"{client._transport.url} is not the operator plane, and proposing is an operator's act",
            "Use the path of the node's admin socket, or its admin address with an ma_ key; "
            'or send the file to an operator for "murmur metrics propose"',
            code="not_operator",
        ) from error


def _tree(definition: Mapping[str, Any] | str | Path) -> tuple[Any, str]:
    """The strings-only tree, and what to call it in a message."""
    from node.yaml import load_strings

    if isinstance(definition, Mapping):
        return _strings(definition), "the definition"
    if isinstance(definition, Path):
        return load_strings(definition.read_text(encoding="utf-8"), str(definition)), str(definition)
    return load_strings(definition, "the definition"), "the definition"


def _strings(value: Any) -> Any:
    """The same with every number as text, as strings-only YAML reads it."""
    if isinstance(value, Mapping):
        return {str(name): _strings(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strings(item) for item in value]
    return str(value)


def _hour(text: str) -> int:
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days * 24
    except ValueError:
        raise BadQuestion(
            "Nothing was proposed", f"{text[:40]!a} is no day", "Write 2026-12-01", code="bad_window"
        ) from None
