"""API keys: shown once, hashed at rest, refused by kind and scope."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.errors import RejectedInput
from node.state.database import StateDatabase
from node.state.tokens import AccessDenied, TokenBook


@pytest.fixture
def book(tmp_path: Path) -> TokenBook:
    return TokenBook(StateDatabase(tmp_path / "state.db"))


@pytest.mark.requirement("T-IN-4")
def test_a_key_opens_what_it_was_made_for_and_nothing_else(book: TokenBook) -> None:
    """Kind and scope both count."""
    secret, token = book.create("write", ["backfill"], "history", now_s=1, rng=os.urandom)
    assert book.check(secret, "write", "backfill") == token
    for kind, scope in (("write", "events"), ("read", "query"), ("admin", "admin")):
        with pytest.raises(AccessDenied) as caught:
            book.check(secret, kind, scope)
        assert (caught.value.status, caught.value.code) == (403, "key_not_allowed")


@pytest.mark.parametrize(
    ("secret", "code"),
    [(None, "key_missing"), ("", "key_missing"), ("mw_guess", "key_unknown"), ("\ud800", "key_unknown")],
)
def test_no_key_and_a_wrong_key_are_401(book: TokenBook, secret: str | None, code: str) -> None:
    """A stranger learns that a key is needed, no more."""
    with pytest.raises(AccessDenied) as caught:
        book.check(secret, "write", "events")
    assert (caught.value.status, caught.value.code) == (401, code)


def test_the_secret_is_nowhere_on_disk(tmp_path: Path) -> None:
    """Only the hash is kept, and keys survive a restart; a revoked one stays revoked."""
    database = StateDatabase(tmp_path / "state.db")
    book = TokenBook(database)
    secret, token = book.create("read", [], "notebook", now_s=1, rng=os.urandom)
    gone, old = book.create("read", [], "old", now_s=2, rng=os.urandom)
    book.revoke(old.id, now_s=3)
    database.close()
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())
    again = TokenBook(StateDatabase(tmp_path / "state.db"))
    assert again.check(secret, "read", "query").id == token.id
    assert not again.allows(gone, "read", "query")
    assert [item.is_revoked for item in again.list()] == [False, True]


def test_unknown_kinds_scopes_and_ids_are_refused(book: TokenBook) -> None:
    """Nothing is made from a typo."""
    for kind, scopes in (("wriet", []), ("write", ["query"]), ("read", ["events"])):
        with pytest.raises(RejectedInput):
            book.create(kind, scopes, "", now_s=1, rng=os.urandom)
    with pytest.raises(RejectedInput):
        book.revoke("absent", now_s=1)
    assert book.list() == []


def test_a_browser_key_is_bound_to_its_origins(tmp_path: Path) -> None:
    """Kept over a restart; a revoked one makes its origin unknown again."""
    book = TokenBook(StateDatabase(tmp_path / "state.db"))
    secret, made = book.create("write", [], "page", now_s=1, rng=os.urandom, origins=["https://a.example:8443"])
    again = TokenBook(StateDatabase(tmp_path / "state.db"))
    assert again.find(secret, "write").origins == ("https://a.example:8443",)
    assert again.is_origin_known("https://a.example:8443")
    again.revoke(made.id, now_s=2)
    assert not again.is_origin_known("https://a.example:8443")


@pytest.mark.parametrize("origin", ["a.example", "https://a.example/", "https://*", "null", "https://a b", ""])
def test_what_is_no_origin_makes_no_key(book: TokenBook, origin: str) -> None:
    with pytest.raises(RejectedInput):
        book.create("write", [], "page", now_s=1, rng=os.urandom, origins=[origin])


def test_a_browser_key_sends_events_and_nothing_else(book: TokenBook) -> None:
    for kind, scopes in (("write", ["backfill"]), ("write", ["events", "backfill"]), ("read", []), ("admin", [])):
        with pytest.raises(RejectedInput):
            book.create(kind, scopes, "page", now_s=1, rng=os.urandom, origins=["https://a.example"])


@pytest.mark.requirement("T-IN-4")
def test_a_key_with_an_end_opens_nothing_after_it(tmp_path: Path) -> None:
    """To the second, over a restart, and without a clock never."""
    now = [1000]
    database = StateDatabase(tmp_path / "state.db")
    book = TokenBook(database, now_s=lambda: now[0])
    secret, token = book.create("read", [], "", now_s=1000, rng=os.urandom, life_s=60)
    assert token.expires_at_s == 1060
    now[0] = 1059
    assert book.allows(secret, "read", "query")
    for again in (book, TokenBook(database, now_s=lambda: now[0])):
        now[0] = 1060
        with pytest.raises(AccessDenied) as caught:
            again.check(secret, "read", "query")
        assert (caught.value.status, caught.value.code) == (401, "key_expired")
    now[0] = 1000
    assert not TokenBook(database).allows(secret, "read", "query")
    for life_s in (0, -1, 11 * 366 * 86_400):
        with pytest.raises(RejectedInput):
            book.create("read", [], "", now_s=1, rng=os.urandom, life_s=life_s)


def test_a_browser_key_with_an_end_lets_its_origin_go(tmp_path: Path) -> None:
    """CORS answers follow the keys."""
    now = [1000]
    book = TokenBook(StateDatabase(tmp_path / "state.db"), now_s=lambda: now[0])
    book.create("write", [], "", now_s=1000, rng=os.urandom, life_s=60, origins=["https://a.example"])
    assert book.is_origin_known("https://a.example")
    now[0] = 1060
    assert not book.is_origin_known("https://a.example")


def test_a_dry_run_keeps_nothing(book: TokenBook) -> None:
    """It says what would be made, and is refused as the real one would be."""
    secret, token = book.create("read", [], "x", now_s=1, rng=os.urandom, life_s=60, is_dry_run=True)
    assert (secret, token.expires_at_s, book.list()) == ("", 61, [])
    with pytest.raises(RejectedInput):
        book.create("read", ["events"], "x", now_s=1, rng=os.urandom, is_dry_run=True)


@pytest.mark.requirement("T-IN-4")
def test_refusals_are_told_with_the_key_where_there_is_one(tmp_path: Path) -> None:
    """For the audit log: never the secret."""
    told: list[tuple[str, str]] = []
    book = TokenBook(StateDatabase(tmp_path / "state.db"), on_refusal=lambda who, what: told.append((who, what)))
    secret, token = book.create("read", [], "", now_s=1, rng=os.urandom)
    assert not book.allows("mr_wrong", "read", "query")
    assert not book.allows(secret, "admin", "admin")
    assert told == [("stranger", "read refused: key_unknown"), (f"key:{token.id}", "admin refused: key_not_allowed")]
