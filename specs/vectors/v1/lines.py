"""lines.json: which line of a log stands, and what becomes of the entries beside it (specs/mesh/judgement.md 8.3)."""

from __future__ import annotations

from specs.vectors.v1.cast import HARE, Json, key
from specs.vectors.v1.hedgerow import COUNTED, SCENE, Case, hare, stem, void, written
from specs.vectors.v1.scene import Writer, day


def vectors() -> Json:
    cases = [*_forks(), *_recoveries(), *_cuts()]
    return written("Which line of a log stands, specs/mesh/judgement.md 8.3.", cases)


def _forks() -> list[Case]:
    forked = Case("two entries at one position: the author is frozen there")
    one, other = stem(), stem()
    one.summary("calls", day(2))
    one.summary("calls", day(3))
    other.summary("visits", day(2))
    forked.say(COUNTED, *one.line[:3])
    forked.say(void("forked"), *one.line[3:], other.line[3])
    forked.frozen(one, 3, 0)

    conflict = Case("the same position twice over one slot: what stands below the fork counts, nothing from it on")
    one, other = hare(), hare()
    one.summary("calls", day(0), [1, 2, 3, 4])
    other.summary("calls", day(0), [4, 3, 2, 1])
    conflict.say(COUNTED, one.line[0])
    conflict.say(void("forked"), one.line[1], other.line[1])
    conflict.frozen(one, 1, 0)

    rotated = Case("one of the two branches goes on to a rotate: it stands")
    one, other = stem(), stem()
    one.summary("calls", day(2))
    one.rotate()
    one.summary("calls", day(3))
    other.summary("visits", day(2))
    other.summary("visits", day(3))
    rotated.say(COUNTED, *one.line)
    rotated.say(void("superseded"), *other.line[3:])
    rotated.head(one)

    retired = Case("a retired key signs a second entry at an old position: the line stands")
    one = stem()
    one.rotate()
    one.summary("calls", day(2))
    other = stem()
    del other.line[2:]
    other.summary("visits", day(1))
    retired.say(COUNTED, *one.line)
    retired.say(void("superseded"), other.line[2])
    retired.head(one)

    both = Case("both branches go on to a rotate: frozen where they part")
    one, other = stem(), stem()
    one.rotate()
    one.summary("calls", day(2))
    other.summary("calls", day(4))
    other.rotate()
    both.say(COUNTED, *one.line[:3])
    both.say(void("forked"), *one.line[3:], *other.line[3:])
    both.frozen(one, 3, 0)

    births = Case("two first entries")
    one, other = Writer(SCENE, HARE), Writer(SCENE, HARE)
    one.born()
    other.write("inception", HARE.inception.encode(), at=1)
    births.say(void("forked"), one.line[0], other.line[0])
    births.heads["hare"] = (0, -1, None, (0, 0))
    return [forked, conflict, rotated, retired, both, births]


def _recoveries() -> list[Case]:
    lifted = Case("a recover lifts a freeze; its line counts, what it left is void")
    one, other = stem(), stem()
    one.summary("calls", day(2))
    other.summary("visits", day(2))
    back = one.copy()
    back.recover(2)
    back.summary("calls", day(2))
    lifted.say(COUNTED, *back.line)
    lifted.say(void("recovered"), one.line[3], other.line[3])
    lifted.head(back)

    older = Case("a recover from an older entry stands, a rotate beyond it does not")
    one = stem()
    one.rotate()
    one.summary("calls", day(2))
    back = one.copy()
    back.recover(1)
    back.summary("calls", day(1), [1, 1, 1, 1])
    older.say(COUNTED, *back.line)
    older.say(void("recovered"), *one.line[2:])
    older.head(back)

    higher = Case("the recover of the highest generation stands, whatever stands on the other")
    one = stem()
    first = one.copy()
    first.recover(2)
    first.rotate()
    first.summary("calls", day(2))
    second = one.copy()
    second.recover(1, generation=2, fresh=20)
    higher.say(COUNTED, *second.line)
    higher.say(void("recovered"), *first.line[2:])
    higher.head(second)

    chained = Case("a recover on a recover: both stand")
    one = stem()
    one.recover(2)
    one.summary("calls", day(2))
    one.recover(3, fresh=20)
    one.summary("calls", day(3))
    chained.say(COUNTED, *one.line)
    chained.head(one)

    split = Case("two recovers of one generation: frozen where the ways part, in that generation")
    one = stem()
    one.summary("calls", day(2))
    first, second = one.copy(), one.copy()
    first.recover(1)
    second.recover(3, fresh=20)
    second.summary("calls", day(3))
    split.say(COUNTED, *one.line[:2])
    split.say(void("forked"), *one.line[2:], *first.line[2:], *second.line[4:])
    split.heads["hare"] = (0, 1, one.line[1], (1, 2))

    root = Case("a recover by the root a charter names stands before a higher one by the old root",
                ("first", "new root for hare"))  # fmt: skip
    one = stem()
    stolen, owner = one.copy(), one.copy()
    stolen.recover(2, generation=5)
    stolen.summary("calls", day(2))
    owner.recover(1, generation=1, fresh=20, root=key("hare new root"))
    owner.summary("calls", day(1), [1, 1, 1, 1])
    root.say(COUNTED, *owner.line)
    root.say(void("recovered"), one.line[2], *stolen.line[3:])
    root.head(owner)

    after = Case("a fork above a recover, and what the recover left")
    one = stem()
    left = one.copy()
    left.summary("visits", day(2))
    one.recover(2)
    other = one.copy()
    one.summary("calls", day(2))
    other.summary("tips", day(2))
    after.say(COUNTED, *one.line[:4])
    after.say(void("forked"), one.line[4], other.line[4])
    after.say(void("recovered"), left.line[3])
    after.frozen(one, 4, 1)

    used = Case("the key in force before a recover signs again beside it")
    one = stem()
    thief = one.copy()
    thief.summary("visits", day(3))
    thief.summary("visits", day(4))
    one.recover(2)
    one.summary("calls", day(2))
    used.say(COUNTED, *one.line)
    used.say(void("recovered"), *thief.line[3:])
    used.head(one)
    return [lifted, older, higher, chained, split, root, after, used]


def _cuts() -> list[Case]:
    gone, back = "hare removed at seq 1", "hare back"
    removed = Case("removed: up to the cut everything counts, beyond it nothing", ("first", gone))
    line = stem()
    line.summary("calls", day(2))
    removed.say(COUNTED, *line.line[:2])
    removed.say(void("cut"), *line.line[2:])
    removed.heads["hare"] = (0, 1, line.line[1], None)

    early = Case("a recover on the cut while it lasts: it stands, and does not count yet", ("first", gone))
    new = line.copy()
    new.recover(1)
    new.summary("calls", day(1), [1, 1, 1, 1])
    early.say(COUNTED, *line.line[:2])
    early.say(void("cut"), *line.line[2:], *new.line[2:])
    early.head(new)

    alone = Case("readmitted without a recover: what was beyond the cut stays void", ("first", gone, back))
    alone.say(COUNTED, *line.line[:2])
    alone.say(void("cut"), *line.line[2:])
    alone.heads["hare"] = (0, 1, line.line[1], None)

    readmitted = Case("readmitted: the log goes on with a recover on the cut", ("first", gone, back))
    readmitted.say(COUNTED, *new.line)
    readmitted.say(void("cut"), *line.line[2:])
    readmitted.head(new)

    beside = Case("a recover below the cut is off the way to it", ("first", gone))
    other = stem()
    other.recover(0)
    beside.say(COUNTED, *line.line[:2])
    beside.say(void("cut"), *other.line[1:])
    beside.heads["hare"] = (0, 1, line.line[1], None)

    unknown = Case(
        "a cut on an entry that is not here: what stands ends below it", ("first", "hare removed at a lost entry")
    )
    unknown.say(COUNTED, line.line[0])
    unknown.say(void("cut"), *line.line[1:])
    unknown.heads["hare"] = (0, 0, line.line[0], None)

    again = Case("readmitted, and forked beyond the recover on the cut", ("first", gone, back))
    one = new.copy()
    two = one.copy()
    one.summary("calls", day(2))
    two.summary("visits", day(2))
    again.say(COUNTED, *new.line)
    again.say(void("cut"), *line.line[2:])
    again.say(void("forked"), one.line[4], two.line[4])
    again.frozen(one, 4, 1)
    return [removed, early, alone, readmitted, beside, unknown, again]
