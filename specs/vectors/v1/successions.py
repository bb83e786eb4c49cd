"""charters_later.json: chains of charters, which of two is trusted, and suspensions (specs/charter.md 3.4 to 3.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from protocol.charter import CatalogueRow, Charter, Cut, Member, Organisation, charter_hash
from protocol.charter_document import CharterDocument, sign_charter
from protocol.ids import ZERO_FEDERATION, CharterHash, EntryId, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.suspension import Suspension, SuspensionDocument, sign_suspension
from specs.vectors.v1.cast import COUNTS_FROM, CREATED, DEFINITION_HASH, HARE, WREN, Json, charter, digest, key, node

DAY_S = 86_400
FINCH = node("finch", "https://finch.example")
FIRST = charter()
FOUNDED = FederationId(charter_hash(FIRST.encode()))
BOTH = (HARE.governance, WREN.governance)
CUT = Cut(0, 17, EntryId(digest("cut")))
ROW = FIRST.catalogue[0]


def after(parent: Charter, *others: Charter, **changes: object) -> Charter:
    """A charter that follows one, a day younger; several when it heals."""
    hashes = sorted(CharterHash(charter_hash(one.encode())) for one in (parent, *others))
    fields: Json = {"version": parent.version + 1, "attempt": 1, "created": parent.created + DAY_S}
    return replace(parent, **{**fields, "previous": tuple(hashes), **changes})  # type: ignore[arg-type]


def document(one: Charter, signers: Iterable[SigningKey] = BOTH, federation: FederationId = FOUNDED) -> CharterDocument:
    body = one.encode()
    made = CharterDocument(body)
    for governance in signers:
        domain = ZERO_FEDERATION if one.version == 1 else federation
        made = made.with_approval(governance.public_key, sign_charter(governance, body, domain))
    return made


def members(place: int, **changes: object) -> tuple[Member, ...]:
    return tuple(
        replace(member, **changes) if at == place else member  # type: ignore[arg-type]
        for at, member in enumerate(FIRST.members)
    )


def vectors() -> Json:
    return {
        "about": "Charters after the first, specs/charter.md 3.4 to 3.6. `documents` in order; the last is the tip.",
        "chain": {
            "accepted": [_case(name, chain) for name, chain in _accepted()],
            "refused": [{"name": name, "documents": _hex(chain), "code": code} for name, chain, code in _refused()],
        },
        "order": [
            {"name": name, "chains": [_hex(chain) for chain in chains], "trusted": chains[best][-1].hash.hex()}
            for name, chains, best in _orders()
        ],
        "suspension": _suspensions(),
    }


def _accepted() -> list[tuple[str, list[CharterDocument]]]:
    second = after(FIRST)
    joined = after(FIRST, **_with_finch())
    removed = after(FIRST, members=members(1, cut=CUT))
    without = tuple(item for item in FIRST.organisations if item.id != FIRST.members[1].organisation)
    new_root = after(FIRST, members=members(0, root=key("hare new root").public_key))
    ends = (CREATED + DAY_S) // 3600 + 49
    one, other = _rivals()
    heal = after(one, other)
    first = document(FIRST)
    return [
        ("founding alone", [first]),
        ("renewal", [first, document(second)]),
        ("two renewals", [first, document(second), document(after(second))]),
        ("a third joins", [first, document(joined, (*BOTH, FINCH.governance))]),
        ("a member removed", [first, document(removed)]),
        ("a member and its organisation removed", [
            first, document(replace(removed, organisations=without, threshold=1, suspend_threshold=1)),
        ]),
        ("removed and readmitted", [first, document(removed), document(after(removed, members=FIRST.members))]),
        ("a root replaced", [first, document(new_root)]),
        ("a row ended with notice", [first, document(after(FIRST, catalogue=(replace(ROW, until_hour=ends),)))]),
        ("a row added for old windows", [first, document(after(FIRST, catalogue=_rows()))]),
        ("caps raised", [first, document(after(FIRST, caps={**FIRST.caps, "day": Fraction(1, 20)}))]),
        ("a governance key replaced, the lost one silent", [*_rekeyed()]),
        ("a split vote healed", [first, *_sorted(document(one), document(other)), document(heal)]),
    ]  # fmt: skip


def _refused() -> list[tuple[str, list[CharterDocument], str]]:
    first, second = document(FIRST), after(FIRST)
    joined = after(FIRST, **_with_finch())
    replaced = after(FIRST, members=members(0, root=key("hare new root").public_key))
    one, other = _rivals()
    stranger = key("stranger")
    ends = (CREATED + DAY_S) // 3600 + 48
    risen = after(FIRST, min_suite=2)
    named_twice = after(one, other)
    succession = "bad-succession"
    bad: list[tuple[str, Charter]] = [
        ("created before the one it follows", after(FIRST, created=CREATED - 1)),
        ("a member left out", after(FIRST, members=FIRST.members[:1])),
        ("a member of another organisation", after(FIRST, members=members(0, organisation="wren"))),
        ("a member that counts from a later hour", after(FIRST, members=members(0, counts_from=COUNTS_FROM + 1))),
        ("a row left out", after(FIRST, catalogue=())),
        ("a row that begins at another hour", after(FIRST, catalogue=(replace(ROW, from_hour=COUNTS_FROM - 1),))),
        ("a row ended without notice", after(FIRST, catalogue=(replace(ROW, until_hour=ends),))),
    ]
    return [
        *((name, [first, document(one_)], succession) for name, one_ in bad),
        ("version 3 on version 1", [first, document(after(FIRST, version=3))], succession),
        ("version 2 missing", [first, document(after(second))], succession),
        ("min_suite falls", [first, document(risen), document(after(risen, min_suite=1))], succession),
        ("a replaced root goes again", [
            first, document(replaced), document(after(replaced, members=FIRST.members)),
        ], succession),
        ("a rival that nothing follows", [
            first, *_sorted(document(one), document(other)), document(after(min((one, other), key=_hash))),
        ], succession),
        ("a healed charter without one it names", [first, document(one), document(named_twice)], succession),
        ("version 2 first", [document(second)], "malformed"),
        ("one old key", [first, document(second, BOTH[:1])], "threshold-not-met"),
        ("no key", [first, document(second, ())], "threshold-not-met"),
        ("a new key has not signed", [first, document(joined)], "threshold-not-met"),
        ("new keys do not stand in for old ones", [
            first, document(joined, (HARE.governance, FINCH.governance)),
        ], "threshold-not-met"),
        ("a stranger's approval beside the others", [first, document(second, (*BOTH, stranger))], "bad-signature"),
        ("signed in the founding's domain", [first, document(second, federation=ZERO_FEDERATION)], "bad-signature"),
        ("signed in another federation", [
            first, document(second, federation=FederationId(digest("another federation"))),
        ], "bad-signature"),
    ]  # fmt: skip


def _orders() -> list[tuple[str, list[list[CharterDocument]], int]]:
    first = document(FIRST)
    one, other = sorted(_rivals(), key=_hash)
    again = after(FIRST, attempt=2)
    one_, other_, again_ = document(one), document(other), document(again)
    longer = document(after(other))
    return [
        ("the lower hash of one vote", [[first, one_], [first, other_]], 0),
        ("the later attempt", [[first, one_], [first, again_]], 1),
        ("the longer chain", [[first, one_], [first, again_], [first, other_, longer]], 2),
    ]


def _suspensions() -> Json:
    base = Suspension(
        CharterHash(charter_hash(FIRST.encode())), HARE.id, COUNTS_FROM, COUNTS_FROM + 14 * 24, "too high ✿"
    )
    body = base.encode()
    strange = key("stranger")
    elsewhere = replace(base, charter=CharterHash(bytes(32))).encode()
    nobody = replace(base, member=NodeId(bytes(32))).encode()
    return {
        "charter": document(FIRST).encode().hex(),
        "accepted": [
            {"name": "by one key, as the charter says", "document": _suspended(body, WREN.governance).encode().hex(),
             "hash": _suspended(body).hash.hex()},
        ],
        "refused": [
            {"name": name, "document": made.encode().hex(), "code": code}
            for name, made, code in [
                ("by nobody", _suspended(body), "threshold-not-met"),
                ("by a stranger", _suspended(body, strange), "bad-signature"),
                ("signed by the signing key", _suspended(body, WREN.signing), "bad-signature"),
                ("under another charter", _suspended(elsewhere, WREN.governance), "malformed"),
                ("of no member", _suspended(nobody, WREN.governance), "malformed"),
            ]
        ],
    }  # fmt: skip


def _suspended(body: bytes, *signers: SigningKey) -> SuspensionDocument:
    made = SuspensionDocument(body)
    for governance in signers:
        made = made.with_approval(governance.public_key, sign_suspension(governance, body, FOUNDED))
    return made


def _with_finch() -> Json:
    joining = Member(FINCH.id, "finch", "finch", COUNTS_FROM + 24 * 14)
    voice = Organisation("finch", "People of finch ✿", FINCH.governance.public_key)
    found = {"members": (*FIRST.members, joining), "organisations": (*FIRST.organisations, voice)}
    return found  # type: ignore[return-value]


def _rekeyed() -> list[CharterDocument]:
    """Three organisations, threshold two; one lost its key."""
    joined = after(FIRST, **_with_finch())
    fresh = key("wren fresh governance")
    organisations = tuple(
        replace(item, governance_key=fresh.public_key) if item.id == "wren" else item for item in joined.organisations
    )
    everyone = (*BOTH, FINCH.governance)
    rekeyed = after(joined, organisations=organisations)
    return [document(FIRST), document(joined, everyone), document(rekeyed, (HARE.governance, FINCH.governance, fresh))]


def _rows() -> tuple[CatalogueRow, ...]:
    return (ROW, CatalogueRow("visits", type(DEFINITION_HASH)(digest("visits")), COUNTS_FROM - 24 * 30))


def _rivals() -> tuple[Charter, Charter]:
    return after(FIRST, name="one"), after(FIRST, name="other")


def _hash(one: Charter) -> bytes:
    return charter_hash(one.encode())


def _sorted(*documents: CharterDocument) -> list[CharterDocument]:
    return sorted(documents, key=lambda made: made.hash)


def _case(name: str, chain: list[CharterDocument]) -> Json:
    return {"name": name, "documents": _hex(chain), "tip": chain[-1].hash.hex(), "federation": FOUNDED.hex()}


def _hex(chain: list[CharterDocument]) -> list[str]:
    return [made.encode().hex() for made in chain]
