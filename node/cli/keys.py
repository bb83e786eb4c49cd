"""The keys of a node: which there are, what they are called, and how to change them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.kit import exits
from node.cli.kit.base import Noun
from node.cli.kit.change import Change, Signs, changing, would
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, next_steps, output_option, say
from node.cli.kit.passphrases import PassphraseSource, passphrase_option, read_words, seed_of
from node.cli.kit.table import Column, render_table, terminal_width
from node.fingerprint import fingerprint

if TYPE_CHECKING:
    from protocol.keys import SigningKey

_SHOWN_ANSWERS = 8
_PATH = click.Path(exists=True, dir_okay=False, path_type=Path)
_ORDER = ("signing.key", "next.key", "staged.key", "after.key", "fresh.key", "token.key", "master.key")
_USES = {
    "signing.key": "signs what the node says", "next.key": "signs after the next rotation",
    "staged.key": "looked at before, for the rotation after that", "after.key": "of a turn that is under way",
    "fresh.key": "of a recovery that is under way", "token.key": "signs researchers' tokens",
    "master.key": "wraps the keys of the epochs",
}  # fmt: skip


@click.group(
    cls=Noun,
    examples=(
        ("murmur keys list", "the key files of this node, and which are sealed"),
        ("murmur keys show", "the signing key in force, its age, and whether the node signs"),
        ("murmur keys rotate", "put the committed key in force; peers follow by themselves"),
        ("murmur keys coverage", "how many peers hold the new key"),
        ("murmur keys recover --from 41 --root-key root.key", "after a theft: keep entry 41 and what is before it"),
        ("murmur keys rotate-master", "wrap every epoch key with a new master key"),
    ),
)
def command() -> None:
    """Look at the keys of a node, and change them."""


@command.command("list", examples=(("murmur keys list", "reads the files; the node may be stopped"),))
@node_option
@output_option("table", "json")
def list_(data: Path, output: str) -> None:
    """List the key files of this node. Root and governance key are elsewhere, or should be."""
    from node.keyfiles import read_label

    folder = data / "keys"
    found = [folder / name for name in _ORDER if (folder / name).exists()]
    if not found:
        raise CommandRefused(
            exits.NOT_FOUND, code="no_keys", what="There are no keys", why=f"{folder} holds no key file",
            fix="Name the node with --config or --data",
        )  # fmt: skip
    labels = [(path.name, read_label(path)) for path in found]
    if output == "json":
        rows = [
            {"file": name, "kind": label.kind, "is_sealed": label.is_sealed, "use": _USES[name],
             "public": None if label.public is None else label.public.hex(),
             "fingerprint": None if label.public is None else fingerprint(label.public)}
            for name, label in labels
        ]  # fmt: skip
        emit_json("murmur.keys/1", {"folder": str(folder), "keys": rows})
        return
    columns = (Column("file"), Column("passphrase"), Column("fingerprint"), Column("what for", is_optional=True))
    table = [
        (name, "sealed" if label.is_sealed else "none",
         "-" if label.public is None else fingerprint(label.public)[:19], _USES[name])
        for name, label in labels
    ]  # fmt: skip
    for line in render_table(columns, table, terminal_width()):
        emit(line)
    if not all(label.is_sealed for _, label in labels):
        say("A file without a passphrase opens for whoever copies it: murmur keys passwd seals it.")


@command.command(examples=(("murmur keys show", ""), ("murmur keys show --json", "with the whole public keys")))
@node_option
@output_option("text", "json")
def show(data: Path, output: str) -> None:
    """Show the signing key in force, its age, the node's position and whether it signs."""
    told = client_of(data).get("/v1/admin/keys/signing")
    if output == "json":
        emit_json(told.pop("schema", "murmur.signing-key/1"), told)
        return
    place, rotation = told["position"], told["rotation"]
    emit(f"signing key  {told['signing_key']}")
    emit(f"changes      {told['changes']}, generation {told['generation']}")
    if rotation is not None:
        emit(f"age          {rotation['words']}")
    emit(f"position     {place['generation']}, {place['seq']}")
    emit(f"signing      {told['held_back'] or 'yes'}")


@command.command("fingerprint", examples=(("murmur keys fingerprint", "to read to someone over the telephone"),))
@node_option
@output_option("text", "json")
def fingerprint_(data: Path, output: str) -> None:
    """Show the short forms of the node id and of its keys, to compare over another channel. The node may be stopped."""
    from node.cli.kit.files import read_bounded
    from node.keyfiles import read_label
    from protocol.identity import parse_inception

    record = parse_inception(read_bounded(data / "inception", 1 << 16, noun="birth record"))
    found: dict[str, bytes] = {"node": record.node_id, "root key": record.root_key}
    for name, file in (("signing key", "signing.key"), ("next key", "next.key")):
        if (data / "keys" / file).exists() and (public := read_label(data / "keys" / file).public) is not None:
            found[name] = public
    if output == "json":
        emit_json("murmur.fingerprints/1", {
            "fingerprints": {name.replace(" ", "_"): fingerprint(value) for name, value in found.items()},
        })  # fmt: skip
        return
    for name, value in found.items():
        emit(f"{name:<12} {fingerprint(value)}")


@command.command("stage-next", examples=(("murmur keys stage-next", "then: murmur keys rotate --dry-run"),))
@node_option
@changing
@output_option("text", "json")
def stage_next(data: Path, change: Change, output: str) -> None:
    """Make the key that the next rotation commits to, ahead of it, so that what will be signed can be looked at.

    It stays where it is until a rotation takes it; staging again changes nothing.
    """
    if change.is_dry_run:
        would(["make keys/staged.key, if there is none"], output)
        return
    told = client_of(data).post("/v1/admin/keys/stage", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.staged-key/1"), told)
        return
    emit(fingerprint(bytes.fromhex(told["staged"])))
    say("The key is staged; the next rotation commits to it.")
    next_steps(("murmur keys rotate --dry-run", "the fingerprint of what will be signed"))


@command.command(
    examples=(
        ("murmur keys rotate --dry-run", "which key comes into force, and what would be signed"),
        ("murmur keys rotate", ""),
    )
)
@node_option
@changing
@output_option("text", "json")
def rotate(data: Path, change: Change, output: str) -> None:
    """Put the committed key in force and commit to a new one; the old key is destroyed.

    Nothing has to be done on peers. If somebody forked this node's log with a stolen key, this ends it.
    """
    client = client_of(data, timeout_s=600.0)
    if change.is_dry_run:
        plan = client.post("/v1/admin/keys/rotate" + change.query, {})
        new, old = (fingerprint(bytes.fromhex(plan[name])) for name in ("signing_key", "old_signing_key"))
        staged = "a key made at that moment" if plan["staged"] is None else fingerprint(bytes.fromhex(plan["staged"]))
        digest = None if plan["digest"] is None else bytes.fromhex(plan["digest"])
        changes = [f"put in force  {new}", f"destroy       {old}", f"commit to     {staged}"]
        would(changes, output, Signs("data of the rotate entry", digest))
        return
    told = client.post("/v1/admin/keys/rotate", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.key-turn/1"), told)
        return
    emit(told["signing_key"])
    say(f"Rotated at ({told['generation']}, {told['seq']}). The old signing key is destroyed.")
    next_steps(("murmur keys coverage", "how many peers hold the new key"), ("murmur backup FILE", "keys are in it"))


@command.command(examples=(("murmur keys coverage", "after a rotation"),))
@node_option
@output_option("table", "json")
def coverage(data: Path, output: str) -> None:
    """Show how many peers hold the entry that put the present signing key in force.

    A peer that lacks it is not in the way: it is brought up to date when it is next reached.
    """
    told = client_of(data).get("/v1/admin/keys/coverage")
    if output == "json":
        emit_json(told.pop("schema", "murmur.key-coverage/1"), told)
        return
    for line in render_table(
        (Column("peer"), Column("holds it")),
        [(peer["name"], "yes" if peer["holds"] else "not shown yet") for peer in told["peers"]],
        terminal_width(),
    ):
        emit(line)
    say(f"{told['holding']} of {len(told['peers'])} peers hold the present key.")


@command.command(examples=(("murmur keys log --last 50", "before keys recover: which entry is the last good one"),))
@node_option
@click.option("--last", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many entries.")
@output_option("table", "json")
def log(data: Path, last: int, output: str) -> None:
    """List the last entries of this node's log; the number of the last good one is what keys recover asks for."""
    from datetime import UTC, datetime

    told = client_of(data).get("/v1/admin/keys/log", {"last": str(last)})
    if output == "json":
        emit_json(told.pop("schema", "murmur.own-log/1"), told)
        return
    rows = [
        (
            str(one["seq"]), str(one["generation"]), f"{datetime.fromtimestamp(one['at'], UTC):%Y-%m-%d %H:%M}",
            one["kind"], one["entry"][:16],
        )
        for one in told["entries"]
    ]  # fmt: skip
    columns = (Column("position", is_number=True), Column("generation", is_number=True), Column("said at (UTC)"),
               Column("kind"), Column("entry"))  # fmt: skip
    for line in render_table(columns, rows, terminal_width()):
        emit(line)


@command.command("needs-rotation", examples=(("murmur keys needs-rotation && murmur keys rotate", "in a timer"),))
@node_option
@output_option("text", "json")
def needs_rotation(data: Path, output: str) -> None:
    """Say whether the signing key is due: exit 0 when it is, 1 when it is not; other codes are failures."""
    rotation = client_of(data).get("/v1/admin/keys/signing")["rotation"]
    is_due = rotation is not None and rotation["urgency"] == "due"
    if output == "json":
        emit_json("murmur.needs-rotation/1", {"is_due": is_due, "rotation": rotation})
    elif rotation is not None:
        say(f"{rotation['words']}."[:1].upper() + f"{rotation['words']}."[1:])
    if not is_due:
        raise click.exceptions.Exit(exits.FAILED)


@command.command(
    examples=(
        ("murmur keys passwd --new-passphrase-file secret.txt", "seal the keys of this node, which is stopped"),
        ("murmur keys passwd --key /media/stick/root.key", "one key file, wherever it lies; asks for the passphrase"),
    )
)
@node_option
@click.option("--key", type=_PATH, metavar="FILE", help="One key file, instead of all of this node's.")
@click.option("--new-passphrase-file", type=_PATH, metavar="FILE", help="Holds the new passphrase.")
@click.option("--remove", is_flag=True, help="Leave the keys without a passphrase.")
@passphrase_option
@changing
@output_option("text", "json")
def passwd(
    data: Path, key: Path | None, new_passphrase_file: Path | None, remove: bool, passphrase: PassphraseSource,
    change: Change, output: str,
) -> None:  # fmt: skip
    """Seal key files with another passphrase, or with none. The node is stopped meanwhile.

    Without --key: all files in DATA/keys, all or none of them, whenever the command is interrupted. The node then needs
    the passphrase to start: keys.passphrase_file in node.toml, or a systemd credential named murmur.passphrase.
    """
    from node.datalock import DataLock
    from node.key_change import change_file, change_folder, finish_change
    from node.keyfiles import read_label
    from node.passphrase import read_passphrase

    folder = data / "keys"
    files = [key] if key is not None else sorted(folder.glob("*.key"))
    if change.is_dry_run:
        verb = "take the passphrase off" if remove else "seal"
        would([f"{verb} {file}" for file in files], output)
        return
    if remove and new_passphrase_file is not None:
        raise click.UsageError("--remove and --new-passphrase-file do not go together")
    is_sealed = any(read_label(file).is_sealed for file in files)
    new = None
    if not remove:
        new = read_passphrase(new_passphrase_file) if new_passphrase_file is not None else _asked_twice(change)
    else:
        change.confirm(f"{len(files)} key files will open for whoever copies them", "remove")
    if key is not None:
        change_file(key, passphrase.get(str(key)) if is_sealed else None, new)
        names = [key.name]
    else:
        lock = DataLock(data)
        try:
            finish_change(folder)
            names = change_folder(folder, passphrase.get("the node's keys") if is_sealed else None, new)
        finally:
            lock.release()
    if output == "json":
        emit_json("murmur.passwd/1", {"files": names, "is_sealed": new is not None})
        return
    say(f"{'Sealed' if new else 'Took the passphrase off'} {', '.join(names)}.")
    if new is not None and key is None:
        next_steps(('keys.passphrase_file = "…" in node.toml', "so that the node can start"))


@command.command(
    examples=(
        ("murmur keys recover --from 41 --root-key root.key --dry-run", "what stays, what goes, what would be signed"),
        ("murmur keys recover --from 41 --root-words", "the root key as the words written down at init"),
    )
)
@node_option
@click.option(
    "--from", "seq", type=click.IntRange(min=0), required=True, metavar="POSITION",
    help="The last good entry of this node's log: its number, as murmur keys log lists it.",
)  # fmt: skip
@click.option("--root-key", type=_PATH, metavar="FILE", help="The root key's file, made at init and kept elsewhere.")
@click.option("--root-words", is_flag=True, help="Ask for the root key's 24 words instead.")
@click.option("--root-words-file", type=_PATH, metavar="FILE", help="The words in a file.")
@click.option(
    "--events-too/--keys-only", "had_events", default=None,
    help="What the other side had: this node's events, too (a clone, a copied disk), or its keys only. "
    "Needed where releases are lost that did not come from here: after --events-too they stay charged and closed.",
)  # fmt: skip
@passphrase_option
@changing
@output_option("text", "json")
def recover(
    data: Path, seq: int, root_key: Path | None, root_words: bool, root_words_file: Path | None,
    had_events: bool | None, passphrase: PassphraseSource, change: Change, output: str,
) -> None:  # fmt: skip
    """Begin again from a good entry with new keys; whatever this node's log holds after it is void everywhere.

    The root key is read here and signs here: the node sees its signature only. A slot that this node answered itself is
    never released again. Whether one that only somebody else answered is, nothing in the log can tell: say it.
    """
    if [root_key is not None, root_words or root_words_file is not None].count(True) != 1:
        raise click.UsageError("give the root key once: --root-key FILE, --root-words or --root-words-file FILE")
    client = client_of(data, timeout_s=600.0)
    plan = client.post("/v1/admin/keys/recover/prepare?dry_run=1", {"seq": seq})
    if change.is_dry_run:
        would(_recovery_lines(plan, had_events), output, Signs("recover entry", None))
        return
    for line in _recovery_lines(plan, had_events):
        say(line)
    if (foreign := _released_elsewhere(plan)) and had_events is None:
        raise CommandRefused(
            exits.USAGE, code="events_or_keys", what="The keys were not changed",
            why=f"{foreign} of the releases that go did not come from here, and nothing in the log tells who had the "
            "keys from who had the events, too",
            fix="Say --events-too where a clone ran or the disk was copied (also when in doubt): they stay charged and "
            "are never released here. Say --keys-only where keys alone were taken: this node may release its own",
        )  # fmt: skip
    change.confirm("What is after it is void, everywhere and for ever", plan["kept"][:8])
    root = _root_key(root_key, root_words_file, passphrase)
    if root.public_key.hex() != plan["root_key"]:
        raise CommandRefused(
            exits.VERIFICATION, code="wrong_root_key", what="The keys were not changed",
            why="it is not the root key of this node", fix="Give the key made at init",
        )  # fmt: skip
    prepared = client.post("/v1/admin/keys/recover/prepare", {"seq": seq})
    if any(prepared[name] != plan[name] for name in ("kept", "void_entries", "generation")):
        raise CommandRefused(
            exits.CONFLICT, code="log_moved", what="The keys were not changed",
            why="the log is another one than when you were asked", fix="Run the command again",
        )  # fmt: skip
    signature = root.sign(bytes.fromhex(prepared["message"])).hex()
    body = {"ticket": prepared["ticket"], "signature": signature, "had_events": bool(had_events)}
    told = client.post("/v1/admin/keys/recover", body)
    if output == "json":
        emit_json(told.pop("schema", "murmur.key-turn/1"), told)
        return
    emit(told["signing_key"])
    say(f"Kept {told['kept']} and everything before it; {told['void_entries']} entries after it are void.")
    say(f"Generation {told['generation']} begins at {told['seq']}. Put the root key away again.")
    next_steps(("murmur keys coverage", "how many peers hold the new key"), ("murmur audit show", "what was done"))


@command.command("rotate-master", examples=(("murmur keys rotate-master", "events come in meanwhile"),))
@node_option
@changing
@output_option("text", "json")
def rotate_master(data: Path, change: Change, output: str) -> None:
    """Wrap every epoch key with a new master key and destroy the old one; events come in meanwhile.

    Stopped by a crash, the next start goes on with it. Copies of the old master key open nothing any more, unless
    someone also has copies of the old key files of epochs.
    """
    if change.is_dry_run:
        would(["make a new master key", "wrap every epoch key with it", "destroy the old master key"], output)
        return
    told = client_of(data, timeout_s=600.0).post("/v1/admin/keys/rotate-master", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.keys/1"), told)
        return
    say("Every epoch key is wrapped with a new master key; the old one is destroyed.")


def _released_elsewhere(plan: Mapping[str, Any]) -> int:
    """How many of the releases that go did not come from this node."""
    return sum(one["was"] == "released" and not one["is_own"] for one in plan["void_answers"])


def _recovery_lines(plan: Mapping[str, Any], had_events: bool | None) -> list[str]:
    from datetime import UTC, datetime

    when = f"{datetime.fromtimestamp(plan['kept_at'], UTC):%Y-%m-%d %H:%M} UTC"
    lines = [
        f"keep   {plan['kept']}  written {when}, and everything before it",
        f"void   {plan['void_entries']} entries",
    ]
    answers = plan["void_answers"]
    lines += [
        f"  {one['metric'] or one['definition'][:16]}  {one['window']}  {one['was']}"
        for one in answers[:_SHOWN_ANSWERS]
    ]
    if len(answers) > _SHOWN_ANSWERS:
        lines.append(f"  … and {len(answers) - _SHOWN_ANSWERS} more")
    if answers:
        lines.append("Answers that used these say from then on that this node's number is not counted, and why.")
    if foreign := _released_elsewhere(plan):
        becomes = {
            None: "say --events-too or --keys-only, as --help explains.",
            True: "they stay charged, and are never released here.",
            False: "this node may still release its own.",
        }
        lines.append(f"{foreign} of them did not come from here: {becomes[had_events]}")
    return lines


def _root_key(file: Path | None, words_file: Path | None, passphrase: PassphraseSource) -> SigningKey:
    from protocol.keys import SigningKey

    if file is not None:
        return SigningKey(passphrase.open(file, "root").secret)
    return SigningKey(seed_of(read_words(words_file)))


def _asked_twice(change: Change) -> Any:
    from node.passphrase import Passphrase

    if not change.may_ask:
        raise CommandRefused(
            exits.USAGE, code="passphrase_needed", what="Nothing was changed",
            why="a new passphrase is needed, and there is nobody to ask for it",
            fix="Give --new-passphrase-file FILE, or --remove",
        )  # fmt: skip
    return Passphrase(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True).encode())
