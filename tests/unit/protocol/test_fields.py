"""Reading single fields: what each type takes, and by which code it refuses the rest (specs/mesh.md 1)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from protocol import canonical
from protocol.canonical import Value
from protocol.errors import ProtocolError
from protocol.fields import Fields, check_array, check_bytes, check_human, check_integer, check_name, check_ratio


def code_of(read: object, *args: object) -> str:
    with pytest.raises(ProtocolError) as refused:
        read(*args)  # type: ignore[operator]  # one of the readers above
    return refused.value.code


@pytest.mark.requirement("M-ENC-4")
@pytest.mark.parametrize("text", ["a", "Söhne & Cie", "\ufeffahead", "Å", "A\u030a", "x" * 8, "\u00a0", "🜁"])
def test_human_text_comes_back_as_it_was(text: str) -> None:
    """Never normalised: two spellings of one letter stay two; a mark in front stays."""
    assert check_human(text.encode(), "name", 8 if text.isascii() else 32) == text


@pytest.mark.requirement("M-ENC-4")
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "malformed"),
        (b"\xff", "malformed"),
        (b"\xed\xa0\x80", "malformed"),
        (b"\xc0\x80", "malformed"),
        (b"a\n", "malformed"),
        (b"\x00", "malformed"),
        (b"\x7f", "malformed"),
        ("\x85".encode(), "malformed"),
        ("\x9f".encode(), "malformed"),
        ("text", "malformed"),
        (b"123456789", "too-large"),
    ],
)
def test_other_human_text_is_refused(raw: Value, code: str) -> None:
    """Empty, ill-formed, with control characters, as str, too long."""
    assert code_of(check_human, raw, "name", 8) == code


@pytest.mark.requirement("M-ENC-6")
def test_a_ratio_has_one_form() -> None:
    assert check_ratio([0, 1], "cap") == 0
    assert check_ratio([3, 400], "cap") == Fraction(3, 400)
    for wrong in ([2, 4], [0, 2], [1, 0], [-1, 2], [1, -2], [1], [1, 2, 3], [True, 1], "1/2", 1):
        assert code_of(check_ratio, wrong, "cap") == "malformed"


@pytest.mark.requirement("M-ENC-7")
def test_a_name_has_one_form() -> None:
    """A letter first, then letters, digits, dot, dash, underscore; ASCII by its own rules."""
    for good in ("a", "a" + "z" * 63, "a.b-c_9"):
        assert check_name(good, "name") == good
    for wrong in ("", "A", "9a", "-a", "a b", "a/b", b"a", "a\n"):
        assert code_of(check_name, wrong, "name") == "malformed"
    assert code_of(check_name, "a" * 65, "name") == "too-large"


@pytest.mark.requirement("M-ENC-3")
def test_a_boolean_is_no_integer_and_an_integer_no_boolean() -> None:
    assert code_of(check_integer, True, "seq") == "malformed"
    assert code_of(Fields({"full": 1}, "heads").boolean, "full") == "malformed"


@pytest.mark.requirement("M-ENC-8")
def test_which_code_a_wrong_size_has() -> None:
    """A wrong fixed length is malformed, on both sides; above an upper bound is too large, below a lower malformed."""
    for items in ([], [1], [1, 2, 3]):
        assert code_of(check_array, items, "pair", 2, 2) == "malformed"
    assert code_of(check_array, [1, 2, 3], "list", 0, 2) == "too-large"
    assert code_of(check_array, [], "list", 1, 2) == "malformed"
    for raw in (b"", b"1", b"123"):
        assert code_of(check_bytes, raw, "hash", 2, 2) == "malformed"
    assert code_of(check_bytes, b"123", "blob", 1, 2) == "too-large"
    assert code_of(check_bytes, b"", "blob", 1, 2) == "malformed"


@pytest.mark.requirement("M-ENC-8")
def test_a_map_has_exactly_its_fields() -> None:
    """One missing, one too many, one nil where it should be absent."""
    assert code_of(Fields({}, "thing").take, "name") == "malformed"
    left = Fields({"a": 1, "b": 2}, "thing")
    left.integer("a")
    assert code_of(left.done) == "malformed"
    given = Fields({"a": None}, "thing")
    assert code_of(given.optional, "a", given.integer) == "malformed"


@pytest.mark.requirement("M-ENC-9")
@pytest.mark.parametrize(
    ("found", "code"),
    [(2, "unknown-version"), (2**53 - 1, "unknown-version"), (0, "malformed"), (-1, "malformed"), (True, "malformed"),
     ("1", "malformed"), (None, "malformed")],
)  # fmt: skip
def test_the_version_is_looked_at_first(found: Value, code: str) -> None:
    """Another positive integer may be a good thing of later software; anything else never was one."""
    assert code_of(Fields({"v": found, "unheard-of": 1}, "thing").version) == code
    assert code_of(Fields({"unheard-of": 1}, "thing").version) == "malformed"


@pytest.mark.requirement("M-ENC-5")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("c403ab", "not-canonical"),  # a length beyond the end
        ("93", "not-canonical"),  # a count beyond the end
        ("8201", "not-canonical"),  # a map counts two for a pair
        ("dd00000001c0", "not-canonical"),  # a length not in its shortest form
        ("91" * 8 + "c0", None),
        ("91" * 9 + "c0", "too-large"),
        ("91" * 8 + "dd7fffffff", "too-large"),  # the depth comes before the count
        ("91" * 7 + "dd7fffffff", "not-canonical"),
    ],
)
def test_limits_are_checked_in_order(data: str, code: str | None) -> None:
    """Depth, then the count against the bytes left, then against the values left."""
    if code is None:
        assert canonical.encode(canonical.decode(bytes.fromhex(data))).hex() == data
    else:
        assert code_of(canonical.decode, bytes.fromhex(data)) == code
    many = b"\xdd" + (65_536).to_bytes(4, "big") + b"\xc0" * 65_536
    assert code_of(canonical.decode, many) == "too-large"
