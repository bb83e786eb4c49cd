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
