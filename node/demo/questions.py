"""Questions to the nodes, as any researcher would ask them, and whether all four answer with the same bytes."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from node.demo.fleet import HOST, Place
from node.demo.problems import DemoFailed

_TIMEOUT_S: Final = 30.0


class _Envelope(msgspec.Struct):
    data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Question:
    """One metric over one span: `parameters` as in `GET /v1/insights/{metric}?…`."""

    metric: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        return f"/v1/insights/{self.metric}?{urlencode(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the nodes said.

    Attributes:
        data: `data` of each question, from the first node.
        unequal: Questions to which some node gave other bytes.
    """

    data: Mapping[Question, dict[str, Any]]
    unequal: tuple[Question, ...]

    @property
    def are_equal(self) -> bool:
        return not self.unequal


def ask_everyone(all_places: Sequence[Place], questions: Iterable[Question]) -> Answers:
    """Ask every node every question and compare `data` byte for byte.

    Raises:
        DemoFailed: a node did not answer.
    """
    asked = list(questions)
    with ThreadPoolExecutor(len(all_places)) as pool:
        said = list(pool.map(lambda place: _ask(place, asked), all_places))
    first = said[0]
    unequal = tuple(question for at, question in enumerate(asked) if any(other[at] != first[at] for other in said))
    return Answers({question: msgspec.json.decode(data) for question, data in zip(asked, first, strict=True)}, unequal)


def read_document(place: Place, path: str) -> Any:
    """`data` of one GET, decoded.

    Raises:
        DemoFailed: no answer, or no envelope.
    """
    return msgspec.json.decode(_ask_paths(place, [path])[0])


def _ask(place: Place, questions: Sequence[Question]) -> list[bytes]:
    return _ask_paths(place, [question.path for question in questions])


def _ask_paths(place: Place, paths: Sequence[str]) -> list[bytes]:
    """`data` of each path, as bytes, over one connection."""
    connection = http.client.HTTPConnection(HOST, place.port, timeout=_TIMEOUT_S)
    found = []
    try:
        for path in paths:
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise DemoFailed(f"the node {place.name} answered {path} with HTTP {answer.status}: {body[:300]!r}")
            found.append(bytes(msgspec.json.decode(body, type=_Envelope).data))
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        raise DemoFailed(f"the node {place.name} did not answer {paths[len(found)]}: {error}") from error
    finally:
        connection.close()
    return found
