"""Long logs for the benches of the mesh: hourly and daily summaries of every member of a simulated federation."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from node.state.database import StateDatabase
from node.state.log import LogStore
from privacy.units import Window
from protocol.entries import ParsedEntry
from tests.simulation.author import Author, day
from tests.simulation.founding import FIRST_HOUR, Founding, found

MOST = 7_000  # summaries an author: an hour's window each, within the catalogue's 300 days
PAGE = 2_000


def founding(size: int) -> Founding:
    """The federation of these benches; its caps let an author answer for every hour."""
    return found(size, 0, cap=Fraction(10))


def write_logs(file: Path, size: int, entries: int, but_for: int) -> None:
    """A state database with so many entries of all members but one; nothing is done when it is there."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    half_done = file.with_suffix(".new")
    half_done.unlink(missing_ok=True)
    database = StateDatabase(half_done)
    store = LogStore(database)
    founded = founding(size)
    writers = [place for place in range(size) if place != but_for]
    share = -(-entries // len(writers))
    if share > MOST:
        raise SystemExit(f"{entries} entries need at least {-(-entries // MOST) + 1} members")
    page: list[ParsedEntry] = []
    for place in writers:
        for entry in _log(founded, place, share):
            page.append(entry)
            if len(page) == PAGE:
                store.append(page)
                page = []
    store.append(page)
    database.query("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    half_done.rename(file)


def _log(founded: Founding, place: int, entries: int) -> Iterator[ParsedEntry]:
    author = Author(founded, founded.members[place])
    hours, calls = founded.named("hours"), founded.named("calls")
    yield author.born()
    for number in range(entries - 1):
        if number % 25 == 24:
            yield author.summary(calls, day(number // 25))
        else:
            yield author.summary(hours, Window("hour", FIRST_HOUR + number).text)
