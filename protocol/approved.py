"""What governance keys approve, on the wire: `[1, type, body, [[governance key, signature], …]]`.

Of charters and suspensions alike (specs/charter.md 3.1, 3.6): approvals in ascending order of key, one a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol import canonical
from protocol.charter import MAX_MEMBERS
from protocol.fields import check_array, check_ascending, check_bytes, refuse
from protocol.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from protocol.objects import WIRE_MAJOR, ObjectType, check_wire_major

APPROVALS_BYTES: Final = 104 * MAX_MEMBERS + 64  # at most, with everything around the body


def encode_approved(type_: ObjectType, body: bytes, approvals: Mapping[bytes, bytes]) -> bytes:
    """The bytes of a body of this type with its approvals."""
    return canonical.encode([WIRE_MAJOR, type_, body, [[key, approvals[key]] for key in sorted(approvals)]])


def parse_approved(data: bytes, type_: ObjectType, *, max_body_bytes: int) -> tuple[bytes, dict[bytes, bytes]]:
    """(body, signature by governance key): form only, neither body nor signatures are looked into.

    Raises:
        MalformedMessage: wrong form, or approvals out of order. UnknownVersion: another wire major.
    """
    what = f"{type_} document"
    items = check_array(canonical.decode(data, max_bytes=max_body_bytes + APPROVALS_BYTES), what, 4, 4)
    check_wire_major(items[0], what)
    if items[1] != type_:
        refuse(what, "the bytes are another type of object")
    body = check_bytes(items[2], f"{what}: body", 1, max_body_bytes)
    pairs = []
    for item in check_array(items[3], f"{what}: approvals", 0, MAX_MEMBERS):
        key, signature = check_array(item, f"{what}: approval", 2, 2)
        pairs.append(
            (
                check_bytes(key, f"{what}: approval key", PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES),
                check_bytes(signature, f"{what}: approval signature", SIGNATURE_BYTES, SIGNATURE_BYTES),
            )
        )
    check_ascending(pairs, f"{what}: approvals", lambda pair: pair[0])
    return body, dict(pairs)
