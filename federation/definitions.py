"""Definitions as objects of the federation: their bytes, their hash, and back.

A definition travels as the canonical msgpack of its strings-only tree, and its hash (the object id of those bytes)
is what a catalogue row names. A text of printable ASCII is a str; any other text is a bin of its UTF-8, never
normalised. Each text has one form only, so two trees have one hash exactly when they are equal up to the order of
keys: the order carries no meaning, and `privacy.definition` gives it none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from privacy.definition import Definition, parse_definition
from protocol import canonical
from protocol.bundle import MAX_DEFINITION_BYTES
from protocol.errors import MalformedMessage
from protocol.ids import DefinitionHash
from protocol.objects import definition_hash as hash_of_body

Tree = str | list["Tree"] | dict[str, "Tree"]


def definition_bytes(tree: object) -> bytes:
    """The canonical bytes of a definition's tree.

    Args:
        tree: Mappings with text keys, lists and texts, as `node.yaml.load_strings` gives them.

    Raises:
        ProtocolError: anything else inside, a key beyond printable ASCII, nested too deep, or too large.
    """
    body = canonical.encode(_encodable(tree, 0))
    if len(body) > MAX_DEFINITION_BYTES:
        raise _refused(f"{len(body)} bytes, at most {MAX_DEFINITION_BYTES} are allowed")
    return body


def definition_hash(tree: object) -> DefinitionHash:
    """The hash by which a catalogue row, a slot and a summary name the definition."""
    return hash_of_body(definition_bytes(tree))


def definition_tree(body: bytes) -> Tree:
    """The tree of a definition's bytes; `definition_bytes` gives the same bytes back.

    Raises:
        ProtocolError: not canonical, too large, no mapping, or a scalar that is no text in its one form.
    """
    tree = _decoded(canonical.decode(body, max_bytes=MAX_DEFINITION_BYTES))
    if not isinstance(tree, dict):
        raise _refused("the outermost value is no mapping")
    return tree


def parse_definition_bytes(body: bytes) -> Definition:
    """The definition of these bytes, as this version computes it.

    Raises:
        ProtocolError: the bytes are at fault. PrivacyError: the definition is, or a later version wrote it.
    """
    return parse_definition(definition_tree(body))


def _encodable(tree: object, depth: int) -> canonical.Encodable:
    if depth > canonical.MAX_DEPTH:
        raise _refused(f"nested deeper than {canonical.MAX_DEPTH}")
    if isinstance(tree, str):
        return tree if canonical.is_text(tree) else _utf8(tree)
    if isinstance(tree, Mapping):
        # The encoder refuses keys that are no printable ASCII.
        return {key: _encodable(value, depth + 1) for key, value in tree.items()}
    if isinstance(tree, Sequence) and not isinstance(tree, bytes | bytearray | memoryview):
        return [_encodable(value, depth + 1) for value in tree]
    raise _refused(f"it holds a {type(tree).__name__}; every scalar is text")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _refused("a text holds a lone surrogate, which UTF-8 cannot carry") from None


def _decoded(value: canonical.Value) -> Tree:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise _refused("a text is not UTF-8") from None
        if canonical.is_text(text):
            raise _refused("a text of printable ASCII travels as bin")  # a second form would be a second hash
        return text
    raise _refused(f"it holds a {type(value).__name__}; every scalar is text")


def _refused(why: str) -> MalformedMessage:
    return MalformedMessage(what="definition refused", why=why)
