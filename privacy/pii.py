"""Does a text look like personal data? The filter drops such values; a plan that lists one is refused.

A pattern can only know a shape, never a meaning. So this is the second line: the first is that a plan stores
codes of declared values, never text. What it looks for, in this order:

- text longer than a category value may be (free text);
- control, invisible and bidirectional characters, which hide a shape from patterns and from people;
- mail addresses, also percent-encoded or with look-alike signs (NFKC is applied first);
- IPv4 and IPv6 addresses, MAC addresses;
- runs of nine digits or more, also with the usual separators: phone, card, account and id numbers;
- UUIDs, JSON web tokens, prefixed API keys, long hexadecimal and mixed tokens.

Left out on purpose: names of people and places. No pattern knows them; declare a category.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_PLAIN_LENGTH: Final = 128  # characters; a longer value is free text, whatever it says

# Every pattern is linear on 128 characters: no nested quantifiers over overlapping classes.
_PATTERNS: Final[dict[str, str]] = {
    "mail": r"[^\s@]@[^\s@]+\.[^\s@]|%40",
    "ipv4": r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9])",
    "ipv6": r"(?<![0-9a-f:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}|(?<![0-9a-f:])[0-9a-f]{0,4}::[0-9a-f]{0,4}",
    "mac": r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}",
    "digits": r"[0-9](?:[ ().\-/]{0,3}[0-9]){8}",
    "jwt": r"eyj[a-z0-9_-]{8,}\.",
    "uuid": r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}",
    "key": r"(?<![a-z0-9])(?:sk|pk|rk|ghp|gho|ghs|xox[abpr]|akia|mw|mr|ma)[_-]?[a-z0-9_-]{16,}",
    "hex": r"(?<![0-9a-z])(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{16,}(?![0-9a-z])",
    # letters and digits mixed without a word break: session ids, base64, hashes
    "token": r"(?<![\w+/=-])(?=[^\s0-9]*[0-9])(?=[^\sa-z]*[a-z])[\w+/=-]{24,}",
}
_PERSONAL: Final = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS.values()))
# Most values are short words, and no pattern fits sixteen letters: they end here, several times cheaper.
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z_ ]{0,15}")
# Separators of names: `userEmail`, `user.email`, `USER_EMAIL` and `user-email` are one name.
_WORD_BREAK: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
# fmt: off
_PERSONAL_NAMES: Final = frozenset({
    "email", "e_mail", "mail", "mail_address", "email_address", "user_email", "ip", "ip_address", "ip_addr",
    "ipv4", "ipv6", "remote_addr", "phone", "phone_number", "mobile", "telephone", "first_name",
    "last_name", "full_name", "surname", "family_name", "given_name", "user_name", "username", "login",
    "password", "passwd", "secret", "token", "access_token", "api_key", "auth", "authorization", "cookie",
    "address", "street", "street_address", "postal_address", "ssn", "social_security", "passport", "iban",
    "card_number", "credit_card", "birthday", "birth_date", "date_of_birth", "dob", "latitude", "longitude",
    "lat", "lon", "lng", "gps", "device_id", "user_agent", "fingerprint", "mac_address", "imei", "idfa",
    "gaid", "user_id", "userid", "session_id", "uid", "uuid", "guid", "customer_id", "client_id", "visitor_id",
    "account_id", "member_id", "patient_id", "phone_no", "tel", "msisdn", "middle_name", "maiden_name", "nickname",
    "postcode", "postal_code", "zip", "zip_code", "national_id", "tax_id", "licence_plate", "license_plate",
})
# fmt: on


def looks_personal(text: str) -> bool:
    """True when the text has the look of personal data or a secret; linear in at most 128 characters."""
    if _PLAIN.fullmatch(text) is not None:
        return False
    if len(text) > MAX_PLAIN_LENGTH or not text.isprintable():
        return True
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)  # fullwidth @ and digits are @ and digits
        if any(unicodedata.category(letter) == "Nd" and not letter.isascii() for letter in text):
            text = "".join(str(unicodedata.digit(letter, letter)) for letter in text)
    return _PERSONAL.search(text.lower()) is not None


def is_personal_name(name: str) -> bool:
    """True when a field of this name would, by its usual meaning, hold personal data."""
    words = (word for word in _WORD_BREAK.split(name) if word)
    return "_".join(words).lower() in _PERSONAL_NAMES
