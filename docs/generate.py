"""Writes docs/reference/commands.md and errors.md from the code; `--check` only says whether they are up to
date.

    python docs/generate.py [--check]

Commands come from the click tree. Errors come from the source text: every class with a `code`, and every
raise that gives a `code=`, with its sentences; `{…}` stands for what is filled in.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("privacy", "protocol", "federation", "node")
MADE_BY = "<!-- Made by `make docs` from the code; do not edit. -->\n"
WIDTH = 100


def commands_page() -> str:
    """One heading and one help text per command."""
    import click

    from node.cli import _murmur

    pages = [f"# Commands\n\n{MADE_BY}"]

    def add(command: click.Command, parent: click.Context | None, name: str) -> None:
        context = click.Context(command, parent=parent, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
        pages.append(f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for verb in command.list_commands(context):
                child = command.get_command(context, verb)
                if child is not None:
                    add(child, context, verb)

    add(_murmur, None, "murmur")
    return "\n".join(pages)


def errors_page() -> str:
    """One heading per code, alphabetical, with where it is raised and in which words."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
            for code, words in _codes(ast.parse(path.read_text(encoding="utf-8"))):
                line = f"- {words} (`{module}`)"
                if line not in found.setdefault(code, []):
                    found[code].append(line)
    pages = [
        "# Error codes",
        "",
        MADE_BY,
        "Every failure says what happened, why and what to do, and carries one of these codes, the same in REST,",
        "on the command line and in the log. `…` stands for what is filled in.",
        "",
    ]
    for code in sorted(found):
        pages += [f"### `{code}`", "", *found[code], ""]
    return "\n".join(pages)


def _codes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            code = _class_code(node)
            if code:
                yield code, (ast.get_docstring(node) or node.name).split("\n")[0].rstrip(".") + "."
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "_HTTP_CODES":
            yield from _of_http(node.value)
        elif isinstance(node, ast.Call):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if isinstance(node.func, ast.Name) and node.func.id == "_document" and len(node.args) >= 5:
                given = dict(zip(("status", "code", "what", "why", "fix"), node.args, strict=False))
            if isinstance(node.func, ast.Name) and node.func.id == "StatementRefused":
                given = dict(zip(("code", "why", "fix"), node.args, strict=False))
            code = _text(given.get("code"))
            if code and "…" not in code:
                sentences = [_text(given.get(part)) for part in ("what", "why", "fix")]
                what, why, fix = (sentence.rstrip(".") for sentence in sentences)
                if what or why:  # the class of an error may say what happened
                    said = ": ".join(part for part in (what, why) if part)
                    yield code, f"{said[0].upper()}{said[1:]}.{f' {fix}.' if fix else ''}"


def _of_http(table: ast.expr | None) -> Iterator[tuple[str, str]]:
    """What stands in the table of the HTTP library's own refusals: status to (code, what to do)."""
    assert isinstance(table, ast.Dict)
    for status, row in zip(table.keys, table.values, strict=True):
        if isinstance(status, ast.Constant) and isinstance(row, ast.Tuple):
            yield _text(row.elts[0]), f"The request is refused with HTTP {status.value}. {_text(row.elts[1])}."


def _class_code(node: ast.ClassDef) -> str:
    for line in node.body:
        target = line.target if isinstance(line, ast.AnnAssign) else None
        if isinstance(line, ast.Assign) and len(line.targets) == 1:
            target = line.targets[0]
        if isinstance(target, ast.Name) and target.id == "code" and isinstance(line, ast.Assign | ast.AnnAssign):
            return _text(line.value)
    return ""


def _text(node: ast.expr | None) -> str:
    """The text of a literal; `…` for every part that is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return "" if node is None else "…"


def main() -> int:
    sys.path.insert(0, str(ROOT))
    stale = []
    for name, make in (("commands.md", commands_page), ("errors.md", errors_page)):
        path = ROOT / "docs/reference" / name
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"Not up to date: {', '.join(stale)}. Run: make docs")  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
