"""YAML as this project reads it: mappings, lists and texts, nothing else.

Every scalar is a text, so `no`, `1.10` and `2026-11-01` mean what they say and no number passes through a
float. Refused, because each lets one text mean two things: duplicate keys, anchors and aliases, merge keys,
tags, several documents, keys that are not texts.
"""

from __future__ import annotations

from typing import Final, NoReturn, Protocol

import yaml

from node.errors import ConfigError

Tree = str | list["Tree"] | dict[str, "Tree"]

MAX_CHARACTERS: Final = 1 << 20
MAX_DEPTH: Final = 32


def load_strings(text: str, source: str) -> Tree:
    """The tree of a YAML document with texts as its only scalars; an empty value is the empty text.

    Args:
        text: The document, at most 1 Mi characters.
        source: What it is called in messages, usually the file's name.

    Raises:
        ConfigError: no YAML, or YAML that means more than a tree of texts; names the line.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(source, f"it has {len(text)} characters, at most {MAX_CHARACTERS} are read")
    reader = _Reader(source)
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _refused(_place(source, mark), error.problem or "it is not YAML") from None
    except yaml.YAMLError:  # a character that YAML does not allow
        raise _refused(source, "it holds a character that YAML does not allow") from None
    if reader.root is None:
        raise _refused(source, "it is empty")
    return reader.root


class _Mark(Protocol):
    """Where in a document; yaml has one class for it in Python and another in C."""

    line: int  # from 0


class _Reader:
    """Builds the tree from the parser's events, so that what the parser would quietly resolve is seen."""

    def __init__(self, source: str) -> None:
        self.root: Tree | None = None
        self._source = source
        self._open: list[tuple[list[Tree] | dict[str, Tree], str | None]] = []  # container, pending key

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(event, "anchors and aliases are not read")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tags are not read")
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._refuse(event, "it holds more than one document")
        if isinstance(event, yaml.ScalarEvent):
            self._place(event.value, event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            container: list[Tree] | dict[str, Tree] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._place(container, event)
            self._open.append((container, None))
            if len(self._open) > MAX_DEPTH:
                self._refuse(event, f"it is nested deeper than {MAX_DEPTH}")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()

    def _place(self, node: Tree, event: yaml.Event) -> None:
        """Put a value, or a mapping's next key, where it belongs."""
        if not self._open:
            self.root = node
            return
        container, key = self._open[-1]
        if isinstance(container, list):
            container.append(node)
        elif key is None:
            self._open[-1] = (container, self._key(node, container, event))
        else:
            container[key] = node
            self._open[-1] = (container, None)

    def _key(self, node: Tree, container: dict[str, Tree], event: yaml.Event) -> str:
        if not isinstance(node, str):
            self._refuse(event, "a key is not a text")
        if node in container:
            self._refuse(event, f"the key {node[:64]!r} stands twice")
        if node == "<<":
            self._refuse(event, "merge keys are not read")
        return node

    def _refuse(self, event: yaml.Event, why: str) -> NoReturn:
        raise _refused(_place(self._source, event.start_mark), why)


def _place(source: str, mark: _Mark | None) -> str:
    return source if mark is None else f"{source}, line {mark.line + 1}"


def _refused(place: str, why: str) -> ConfigError:
    return ConfigError(
        code="invalid_yaml", what=f"{place} is not read", why=why, fix="Write plain mappings, lists and texts"
    )
