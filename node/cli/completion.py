"""Print the shell's completion of these commands: bash, zsh or fish."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from node.cli.kit.base import Verb
from node.cli.kit.output import emit, emit_json, output_option


@click.command(
    cls=Verb,
    examples=(
        ('eval "$(murmur completion bash)"', "in this shell; in ~/.bashrc for every shell"),
        ("murmur completion zsh > ~/.zfunc/_murmur", "a folder of $fpath"),
        ("murmur completion fish > ~/.config/fish/completions/murmur.fish", ""),
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@output_option("text", "json")
@click.pass_context
def command(context: click.Context, shell: str, output: str) -> None:
    """Print the shell's completion of these commands: nouns, verbs, options and their values."""
    made = get_completion_class(shell)
    assert made is not None  # the argument allows click's own three
    script = made(context.find_root().command, {}, "murmur", "_MURMUR_COMPLETE").source()
    if output == "json":
        emit_json("murmur.completion/1", {"shell": shell, "script": script})
        return
    emit(script)
