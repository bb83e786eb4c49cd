"""Write the golden vectors of wire major 1, or check that they are what this program writes.

    python specs/vectors/v1/generate.py            write the files beside this one
    python specs/vectors/v1/generate.py --check    exit 1 when a file differs; write nothing

Everything comes from fixed seeds and plain arithmetic (edwards.py), so every run writes the same bytes. Vectors are
added, never edited: a change that edits one is a change of the wire format, and belongs into v2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from specs.vectors.v1 import (  # noqa: E402
    admitting,
    answering,
    badging,
    chains,
    charters,
    encoding,
    identities,
    judging,
    keyed,
    keyplaces,
    later,
    lines,
    logs,
    messages,
    proofs_of_forks,
    proving,
    proving_answers,
    signing,
    successions,
)

FILES: dict[str, Callable[[], object]] = {
    "encoding.json": encoding.vectors,
    "keys.json": signing.keys,
    "signatures.json": signing.signatures,
    "ids.json": identities.ids,
    "identity.json": identities.vectors,
    "cells.json": logs.cells,
    "entries.json": logs.entries,
    "keyed.json": keyed.vectors,
    "requests.json": messages.vectors,
    "charter.json": charters.vectors,
    "charters_later.json": successions.vectors,
    "admission.json": admitting.vectors,
    "judgement.json": judging.vectors,
    "lines.json": lines.vectors,
    "evidence.json": proofs_of_forks.vectors,
    "answers.json": answering.vectors,
    "badges.json": badging.vectors,
    "answers_later.json": later.vectors,
    "proofs.json": proving.vectors,
    "answer_proofs.json": proving_answers.vectors,
    "key_chains.json": chains.vectors,
    "keys_in_place.json": keyplaces.vectors,
}


@cache
def rendered(name: str) -> str:
    """The text a file has to hold."""
    return json.dumps(FILES[name](), indent=1, ensure_ascii=True) + "\n"


def differences() -> list[str]:
    """Names of files that are missing or hold something else."""
    return [
        name
        for name in FILES
        if not (HERE / name).is_file() or (HERE / name).read_text(encoding="ascii") != rendered(name)
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if parser.parse_args(arguments).check:
        different = differences()
        for name in different:
            sys.stderr.write(f"{name}: not what generate.py writes\n")
        return 1 if different else 0
    for name in FILES:
        (HERE / name).write_text(rendered(name), encoding="ascii")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
