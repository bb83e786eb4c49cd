"""Print the line of HTML that makes a page send events."""

from __future__ import annotations

from html import escape

import click

from node.cli.kit.base import Verb
from node.cli.kit.output import emit, emit_json, output_option


@click.command(
    cls=Verb,
    examples=(
        ("murmur snippet --url https://events.example.org --key mw_… --app shop --page view", "count page views, too"),
    ),
)
@click.option("--url", required=True, metavar="URL", help="Where pages reach the node.")
@click.option("--key", required=True, metavar="KEY", help='A browser key: "murmur tokens create --origin …".')
@click.option("--app", required=True, metavar="NAME", help="The app of the tracking plan.")
@click.option("--page", metavar="ACTION", help="The action that a page view is; single-page routes count as pages.")
@click.option("--consent-required", is_flag=True, help="Count nothing before murmur.consent([…]).")
@output_option("html", "json")
def command(url: str, key: str, app: str, page: str | None, consent_required: bool, output: str) -> None:
    """Print the line of HTML that makes a page send events."""
    attributes = {"src": f"{url.rstrip('/')}/client.js", "data-key": key, "data-app": app}
    if page:
        attributes["data-page"] = page
    if consent_required:
        attributes["data-consent"] = "required"
    listed = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    html = f"<script defer {listed}></script>"
    if output == "json":
        emit_json("murmur.snippet/1", {"html": html})
        return
    emit(html)
