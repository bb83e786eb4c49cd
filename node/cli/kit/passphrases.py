"""Passphrases and root keys at the command line: from a file, a descriptor or a prompt; never an argument."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused

if TYPE_CHECKING:
    from node.keyfiles import KeyFile, KeyKind
    from node.passphrase import Passphrase

Command = TypeVar("Command", bound=Callable[..., Any])
_PATH: Final = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where the passphrase of a key comes from; asked for at a terminal where nothing else was given."""

    file: Path | None
    descriptor: int | None

    def get(self, what: str) -> Passphrase:
        """The passphrase of `what`.

        Raises:
            ConfigError: what was given is none.
            CommandRefused: none was given, and nobody can be asked.
        """
        from node.passphrase import Passphrase, passphrase_from, read_passphrase

        context = click.get_current_context(silent=True)
        file = self.file or (None if context is None else context.meta.get("murmur.passphrase-file"))
        if file is not None:
            return read_passphrase(file)
        if self.descriptor is not None:
            return passphrase_from(self.descriptor)
        if not sys.stdin.isatty():
            raise CommandRefused(
                exits.USAGE, code="passphrase_needed", what="Nothing was changed",
                why=f"{what} needs a passphrase, and there is no terminal to ask for it",
                fix="Name the file that holds it: murmur --passphrase-file FILE …",
            )  # fmt: skip
        return Passphrase(click.prompt(f"Passphrase of {what}", hide_input=True, err=True).encode())

    def open(self, path: Path, kind: KeyKind) -> KeyFile:
        """The key in a file, asking for its passphrase only where it has one; raises as `read_key` and `get`."""
        from node.keyfiles import read_key, read_label

        return read_key(path, kind, self.get(str(path)) if read_label(path).is_sealed else None)


def passphrase_option(function: Command) -> Command:
    """Give a command that opens a key the argument `passphrase`."""

    @functools.wraps(function)
    def with_source(*arguments: Any, passphrase_file: Path | None, passphrase_fd: int | None, **options: Any) -> Any:
        return function(*arguments, passphrase=PassphraseSource(passphrase_file, passphrase_fd), **options)

    by_file = click.option("--passphrase-file", type=_PATH, metavar="FILE",
                           help="Holds the passphrase of the key, readable by you alone.")  # fmt: skip
    by_descriptor = click.option("--passphrase-fd", type=click.IntRange(min=0), metavar="N",
                                 help="The same, from an open descriptor.")  # fmt: skip
    return cast(Command, by_file(by_descriptor(with_source)))


def open_key(path: Path, kind: KeyKind) -> KeyFile:
    """The key in a file; where it is sealed, `murmur --passphrase-file` says with what, or a person is asked."""
    return PassphraseSource(None, None).open(path, kind)


def words_of(seed: bytes) -> list[str]:
    """A root key's 32 bytes as 24 words of the BIP 39 list; the last one checks the others."""
    from mnemonic import Mnemonic

    return str(Mnemonic("english").to_mnemonic(seed)).split()


def seed_of(words: Sequence[str]) -> bytes:
    """The 32 bytes that 24 words stand for.

    Raises:
        CommandRefused: a word is not in the list, or they do not fit together (6).
    """
    from mnemonic import Mnemonic

    listed = Mnemonic("english")
    for place, word in enumerate(words, 1):
        if word not in listed.wordlist:
            raise _not_words(f"word {place} is none of the list")
    if len(words) != 24 or not listed.check(" ".join(words)):
        raise _not_words(f"{len(words)} words that do not fit together: one is another, or two are swapped")
    return bytes(listed.to_entropy(" ".join(words)))


def read_words(path: Path | None) -> list[str]:
    """The words of a root key, from a file or asked for at the terminal; lower case, as they are listed."""
    if path is not None:
        from node.cli.kit.files import read_text

        return read_text(path, 4096, noun="file of words").lower().split()
    if not sys.stdin.isatty():
        raise CommandRefused(
            exits.USAGE, code="words_needed", what="Nothing was changed",
            why="the root key's words are needed, and there is no terminal to ask for them",
            fix="Give --root-words-file FILE, or --root-key FILE",
        )  # fmt: skip
    return str(click.prompt("The 24 words of the root key", hide_input=True, err=True)).lower().split()


def _not_words(why: str) -> CommandRefused:
    return CommandRefused(
        exits.VERIFICATION, code="words_refused", what="The words are no root key", why=why,
        fix="Compare them with what you wrote down at init",
    )  # fmt: skip
