"""Print the lines of HTML that make a page send events."""

from __future__ import annotations

from html import escape

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, output_option

# What calls of the page meet until client.js takes them over; where the node is away, they end here.
STUB = (
    'window.murmur||(function(w,q,m){m=w.murmur=function(){q.length<99&&q.push(["",arguments])};m.q=q;'
    '["consent","optOut","optIn","flush","page"].forEach(function(n){m[n]=function(){q.push([n,arguments])}})})(window,[])'
)


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
@click.option("--no-stub", is_flag=True, help="Without the inline script, for pages whose CSP forbids one.")
@output_option("html", "json")
def command(url: str, key: str, app: str, page: str | None, consent_required: bool, no_stub: bool, output: str) -> None:
    """Print the lines of HTML that make a page send events.

    The first holds the page's calls until the script has come, and takes them where it never comes.
    """
    from privacy.plan_shapes import is_plan_name

    why = ""
    if not url.startswith(("https://", "http://")):
        why = "--url begins with neither https:// nor http://"
    elif not key.startswith("mw_"):
        why = "--key is no write key (mw_…)"
    elif not is_plan_name(app) or not (page is None or is_plan_name(page)):
        why = "an app or action of a tracking plan is named by a-z, 0-9, _ . and -"
    if why:
        raise CommandRefused(
            exits.USAGE, code="snippet_refused", what="No snippet was made", why=why,
            fix='Make a browser key with "murmur tokens create --origin https://…"; the tracking plan has the names',
        )  # fmt: skip
    attributes = {"src": f"{url.rstrip('/')}/client.js", "data-key": key, "data-app": app}
    if page:
        attributes["data-page"] = page
    if consent_required:
        attributes["data-consent"] = "required"
    listed = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    html = f"<script defer {listed}></script>"
    if not no_stub:
        html = f"<script>{STUB}</script>\n{html}"
    if output == "json":
        emit_json("murmur.snippet/1", {"html": html})
        return
    emit(html)
