"""The client for scripts and notebooks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from node.client.answers import Answer, Table
from node.client.transport import Transport


class Client:
    """One node's research surface.

    Args:
        url: `http://…`, `https://…`, or the path of a node's admin socket.
        token: An `mr_` key; not needed on loopback.
        timeout_s: The longest wait for one answer.
    """

    def __init__(self, url: str | Path = "http://127.0.0.1:7700", token: str | None = None, *, timeout_s: float = 30.0):
        self._transport = Transport(url, token, timeout_s)

    def __repr__(self) -> str:
        return f"Client({self._transport.url!r})"

    def metrics(self) -> Table:
        """The catalogue: what can be asked."""
        rows = self._get("/v1/metrics")["data"]["metrics"]
        names = ("metric", "measure", "window", "newest", "question")
        return Table(list(names), [[row[name] for name in names] for row in rows])

    def query(
        self,
        metric: str,
        *,
        by: str | Sequence[str] | None = None,
        where: Mapping[str, str | Sequence[str]] | None = None,
        nodes: Sequence[str] | None = None,
        **parameters: str | int | bool,
    ) -> Answer:
        """One answer.

        Args:
            by: Dimensions to keep; `"total"` for none. All by default.
            where: Labels to keep, by dimension.
            nodes: Members to sum.
            parameters: `window`, `last`, `from_` and `to`, `level`, `raw`, `compare`, `badges`.

        Raises:
            ClientError: one of its kinds.
        """
        asked = {name.rstrip("_"): _text(value) for name, value in parameters.items()}
        if by is not None:
            asked["by"] = by if isinstance(by, str) else ",".join(by)
        if where:
            asked["where"] = ";".join(f"{name}:{_labels(labels)}" for name, labels in where.items())
        if nodes:
            asked["nodes"] = ",".join(nodes)
        path = f"/v1/insights/{quote(metric, safe='')}"
        document = self._get(path, asked)
        return Answer(document["data"], document["metadata"], self, f"{path}?{urlencode(asked)}" if asked else path)

    def sql(
        self, statement: str, parameters: Mapping[str, Any] | Sequence[Any] = (), max_rows: int | None = None
    ) -> Table:
        """Any single SELECT over the tables of released cells (`FROM dictionary` lists them)."""
        body: dict[str, Any] = {"sql": statement}
        if parameters:
            body["parameters"] = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        if max_rows is not None:
            body["max_rows"] = max_rows
        found = json.loads(self._transport.send("POST", "/v1/sql", json.dumps(body).encode()).body)
        data = found["data"]
        names = [column["name"] for column in data["columns"]]
        return Table(names, data["rows"], is_truncated=data["truncated"], commons=found["metadata"]["commons"])

    def releases(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Every release, newest window first; `metric`, `node`, `window` choose."""
        path: str | None = f"/v1/releases?{urlencode({**filters, 'limit': '1000'})}"
        while path:
            page = self._get(path)
            yield from page["data"]["releases"]
            path = page["metadata"]["next"]

    def proof(self, release: str) -> bytes:
        """The proof bundle of a release."""
        return self._transport.send("GET", f"/v1/proofs/{quote(release, safe='')}", accept="*/*").body

    def proposals(self, metric: str | None = None) -> list[dict[str, Any]]:
        """Metrics that were proposed: their state, who approved, and what each node has answered since."""
        asked = {} if metric is None else {"metric": metric}
        found: list[dict[str, Any]] = self._get("/v1/proposals", asked)["data"]["proposals"]
        return found

    def propose(
        self,
        definition: Mapping[str, Any] | str | Path,
        *,
        from_: str | None = None,
        until: str | None = None,
        accuracy: str | None = None,
        people: int = 10_000,
        releases: int = 1,
    ) -> dict[str, Any]:
        """Ask all members for a new metric; this client must speak to the admin socket, or with an `ma_` key.

        Args:
            definition: As a mapping, as YAML text, or a `Path`.
            from_: First day (UTC), a past one too; tomorrow by default.
            until: The first day that is not included; open by default.
            accuracy: "5%" or "40": priced for this half of the 95 % interval instead of the definition's own price.
            people: For the accuracy: active people of one node in one window.
            releases: For the accuracy: how many releases (nodes times windows) are summed.

        Returns:
            The proposal, as `proposals` lists it.

        Raises:
            ClientError: one of its kinds; nothing was proposed.
        """
        from node.client.proposing import propose

        return propose(self, definition, from_=from_, until=until, accuracy=accuracy, people=people, releases=releases)

    def federation(self) -> dict[str, Any]:
        """Members and charter."""
        data: dict[str, Any] = self._get("/v1/federation")["data"]
        return data

    def live(self, after: str | None = None) -> Iterator[dict[str, Any]]:
        """Events as they happen: `{"id", "event", "data"}`; `after` resumes. Ends when the node ends the stream."""
        response = self._transport.open("/v1/live", {} if after is None else {"Last-Event-ID": after})
        event: dict[str, Any] = {}
        with response:
            for raw in response:
                name, _, value = raw.decode("utf-8").rstrip("\r\n").partition(": ")
                if name in ("id", "event"):
                    event[name] = value
                elif name == "data":
                    event[name] = json.loads(value)
                elif not name and "data" in event:
                    yield event
                    event = {}

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        whole = f"{path}?{urlencode(query)}" if query else path
        document: dict[str, Any] = json.loads(self._transport.send("GET", whole).body)
        return document


def _text(value: str | int | bool) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _labels(labels: str | Sequence[str]) -> str:
    listed = [labels] if isinstance(labels, str) else labels
    return ",".join(label.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;") for label in listed)
