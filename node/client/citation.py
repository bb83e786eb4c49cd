"""How an answer is cited: what was asked, of whom, from which releases; and whether that still stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.client.answers import Answer


def citation(answer: Answer, identity_now: str | None) -> str:
    """A BibTeX entry, and under it one sentence on whether the inputs are still the same.

    Args:
        identity_now: The identity of the same question asked now; None when that was not checked.
    """
    data, metadata = answer.data, answer.metadata
    windows = data["windows"]
    span = f"{windows['first']} to {windows['last']}" if windows["first"] else "no window yet"
    year = (metadata.get("calculated_at") or "n.d.")[:4]
    members = ", ".join(member["name"] for member in data["members"] if member["state"] in ("included", "partial"))
    lines = [
        f"@misc{{murmur_{data['metric'].replace('.', '_')}_{answer.identity[:8]},",
        f"  title = {{{data['question']} ({data['metric']}, {span})}},",
        f"  author = {{{members or 'no member yet'}}},",
        f"  year = {{{year}}},",
        f"  howpublished = {{{metadata['releases']} differentially private releases, {data['reporting']} nodes,"
        f" privacy interval {data['level']}}},",
        f"  note = {{answer {answer.identity}, charter {data['charter']['version']} {data['charter']['hash'][:16]}}},",
        f"  url = {{{answer.client._transport.url}{answer.path}}}",
        "}",
    ]
    if identity_now is not None:
        lines.append("")
        lines.append(_standing(answer.identity, identity_now))
    return "\n".join(lines)


def _standing(then: str, now: str) -> str:
    if then == now:
        return "Asked again just now: the same releases, the same numbers."
    return (
        "Asked again just now: the inputs have changed since this answer was computed (a release arrived late, was "
        f"voided, or the charter changed). Then {then[:16]}, now {now[:16]}: cite the new answer, or say "
        "which one you used."
    )
