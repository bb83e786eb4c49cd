"""What looks personal, and what must not: false alarms cost data, misses cost trust."""

from __future__ import annotations

import time

import pytest

from privacy.pii import is_personal_name, looks_personal

PERSONAL = [
    "ann@example.org", "Ann <ann@example.org>", "ann%40example.org", "ann＠example．org", "mailto:a@b.co",
    "192.168.0.1", "10.0.0.1:8080", "ip=203.0.113.9", "2001:db8::1", "fe80::1", "::1",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "aa:bb:cc:dd:ee:ff", "AA-BB-CC-DD-EE-FF",
    "+49 151 23456789", "0151/23456789", "(555) 123-4567 89", "4111 1111 1111 1111", "123456789", "１２３４５６７８９",
    "٠١٢٣٤٥٦٧٨٩", "123-45-6789",
    "550e8400-e29b-41d4-a716-446655440000", "550e8400e29b41d4a716446655440000",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "ghp_16C7e42F292c6912E7710c83",
    "mw_abcdefghijklmnopqrstuvwx", "deadbeefcafe0123", "Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg==", "AKIAIOSFODNN7EXAMPLE",
    "x" * 129, "a\u200bb1", "a\u202eb", "line\nbreak", "nul\0", "\ud800",
]  # fmt: skip
PLAIN = [
    "software", "Small bets", "other_work", "DE", "de-AT", "v1.2.3", "2026", "2026-11-01", "12.5", "1,234", "50+",
    "10-50", "18:30", "a/b", "C++", "größe", "日本語", "café au lait", "health & care", "step 3 of 12", "A4", "H2O",
    "chrome-118", "en_US", "12345678", "0.00012", "internationalization", "tip-jar-with-a-long-descriptive-name",
    "x" * 128, "",
]  # fmt: skip


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_looks_are_seen(text: str) -> None:
    assert looks_personal(text)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_values_pass(text: str) -> None:
    assert not looks_personal(text)


@pytest.mark.parametrize("name", ["email", "userEmail", "USER_EMAIL", "user.email", "ip", "ip-address", "firstName"])
def test_personal_names_are_seen(name: str) -> None:
    assert is_personal_name(name)


@pytest.mark.parametrize("name", ["email_opened", "ip_version", "industry", "tip", "shipping", "emails_sent"])
def test_plain_names_pass(name: str) -> None:
    assert not is_personal_name(name)


@pytest.mark.parametrize("shape", ["a", "1", "1-", ":", "a:", "@", "a@", "a@a.", "0a", ".", "1.", "_", " ", "é", "+="])
def test_no_text_takes_long(shape: str) -> None:
    """128 characters made to back-track cost under a millisecond each (CPU time, a hundred times)."""
    text = (shape * 128)[:127] + "!"
    start = time.process_time()
    for _ in range(100):
        looks_personal(text)
    assert time.process_time() - start < 0.1
