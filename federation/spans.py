"""Finding where two vectors of heads differ, by fingerprints of ever shorter spans. Pure.

Both sides know the same authors in the same order, so nothing has to be sorted or guessed: a span of the vector is
equal, or it is cut into sixteen parts, and of sixteen authors or fewer the heads are told. Each answer shortens every
span sixteen times at least: a vector of n authors takes at most ⌈log₁₆ n⌉ + 1 exchanges a span, and about 16 · 13 bytes
for each level of each head that differs, never more than twice the vector. All of it is asked anew each time: the
answerer keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from federation.errors import BadPayload
from federation.sync import mark_of
from protocol.errors import MalformedMessage
from protocol.heads import Head, span_fingerprint
from protocol.ops import MAX_SPANS, SHORT, SPLIT, HeadMark, Span, SpansReply, SpansRequest, Stretch

Place = tuple[int, int]
"""(first, count) of consecutive authors."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one answer shows: marks of authors by their place, and places to ask about next."""

    marks: tuple[tuple[int, HeadMark], ...]
    places: tuple[Place, ...]


def parts(place: Place) -> list[Place]:
    """The sixteen parts of a span, as equal as can be; fewer when it has fewer authors."""
    first, count = place
    ends = [first + count * step // SPLIT for step in range(SPLIT + 1)]
    return [(start, end - start) for start, end in pairwise(ends) if end > start]


def question(heads: Sequence[Head], places: Sequence[Place], nonce: bytes) -> SpansRequest:
    """Ask about these places, at most `MAX_SPANS`; none for the whole vector."""
    return SpansRequest(tuple(_span(heads, place, nonce) for place in places[:MAX_SPANS]))


def answer(heads: Sequence[Head], asked: SpansRequest, nonce: bytes) -> SpansReply:
    """Of each span that differs its heads, or the fingerprints of its parts.

    Raises:
        BadPayload: a span reaches beyond the last author.
    """
    if asked.spans and asked.spans[-1].end > len(heads):
        raise BadPayload(
            what="Request refused",
            why=f"a span reaches to author {asked.spans[-1].end} of {len(heads)}",
            fix="Both nodes must trust one charter; compare murmur charter show",
        )
    spans: list[Span] = []
    stretches: list[Stretch] = []
    unequal = [
        (span.first, span.count)
        for span in asked.spans
        if span_fingerprint(nonce, heads[span.first : span.end]) != span.fingerprint
    ]
    for place in unequal if asked.spans else [(0, len(heads))]:
        first, count = place
        if count <= SHORT:
            stretches.append(
                Stretch(first, tuple(mark_of(head, nonce, full=False) for head in heads[first : first + count]))
            )
        else:
            spans += [_span(heads, part, nonce) for part in parts(place)]
    return SpansReply(tuple(spans), tuple(stretches))


def read(heads: Sequence[Head], asked: Sequence[Place], reply: SpansReply, nonce: bytes) -> Found:
    """What an answer to `question` shows, held against our heads as they are now.

    Raises:
        MalformedMessage: it is no answer to what was asked: something else, parts that are not the parts, or too much.
    """
    places = list(asked) or [(0, len(heads))]
    long = {part: place for place in places if place[1] > SHORT for part in parts(place)}
    short = {place for place in places if place[1] <= SHORT}
    given = [(span.first, span.count) for span in reply.spans]
    if any(place not in long for place in given) or len(given) != sum(
        len(parts(place)) for place in {long[place] for place in given}
    ):
        raise _not_asked("its spans are not the parts of those asked about")
    if any((one.first, len(one.marks)) not in short for one in reply.stretches):
        raise _not_asked("its heads are not of a span asked about")
    marks = [(one.first + step, mark) for one in reply.stretches for step, mark in enumerate(one.marks)]
    unequal = [
        (span.first, span.count)
        for span in reply.spans
        if span_fingerprint(nonce, heads[span.first : span.end]) != span.fingerprint
    ]
    return Found(tuple(marks), tuple(_further(unequal)))


def _further(unequal: Sequence[Place]) -> Iterator[Place]:
    """What to ask about next: parts of a long one at once, since the whole is known to differ."""
    for place in unequal:
        yield from parts(place) if place[1] > SHORT else (place,)


def _span(heads: Sequence[Head], place: Place, nonce: bytes) -> Span:
    first, count = place
    return Span(first, count, span_fingerprint(nonce, heads[first : first + count]))


def _not_asked(why: str) -> MalformedMessage:
    return MalformedMessage(what="heads refused", why=why)
