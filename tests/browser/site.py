"""Four small nodes with pages worth looking at: people by country and hour, a histogram, a funnel, moves."""

from __future__ import annotations

import json
import urllib.request
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests.integration.small_federation import DAYS, NAMES, Federation

PEOPLE = 700
PLAN = """
plan: {name}
purposes: [analytics]
apps:
  {name}:
    person: user
    consent: analytics
    actions:
      look: {{}}
      buy:
        kind: {{type: category, values: [book, tool, seed, toy]}}
        price: {{type: band, edges: ["5", "10", "20", "50"]}}
"""
PRIVACY = 'window: day\nprivacy: {max_cells: "%d"%s, rho: "1/400"}\n'
HOURS = ", ".join(f'"{hour}"' for hour in range(24))
METRICS = {
    "people": "question: How many people are active?\nfrom: any\nmeasure: people\n" + PRIVACY % (1, ""),
    "people_by_country": "question: Where are they?\nfrom: any\nmeasure: people\nby: {country: [DE, FR, HK, NZ]}\n"
    + PRIVACY % (1, ""),
    "people_by_hour": f"question: When are they?\nfrom: any\nmeasure: people\nby: {{hour: [{HOURS}]}}\n"
    + PRIVACY % (2, ""),
    "bought": "question: What is bought?\nfrom: {app: amber, action: buy}\nmeasure: count\n"
    "by: {kind: [book, tool, seed, toy]}\n" + PRIVACY % (1, ', max_per_cell: "2"'),
    "price": "question: At what price?\nfrom: {app: amber, action: buy}\n"
    'measure: {histogram: price, edges: ["5", "10", "20", "50"]}\n' + PRIVACY % (1, ', max_per_cell: "1"'),
    "steps": "question: Who buys?\nfrom: {app: amber}\nmeasure: {funnel: [look, buy], per: epoch}\n"
    + PRIVACY % (1, ""),
    "moves": "question: What comes next?\nfrom: {app: amber}\nmeasure: {journey: kind, values: [book, tool, seed]}\n"
    + PRIVACY % (1, ', max_per_cell: "1"'),
}  # fmt: skip


class Site(Federation):
    """The small federation with this file's plans and metrics."""

    def _write_texts(self) -> None:
        (self.root / "metrics").mkdir()
        for name in NAMES:
            (self.root / f"{name}.yaml").write_text(PLAN.format(name=name))
        for name, body in METRICS.items():
            (self.root / "metrics" / f"{name}.yaml").write_text(f"metric: {name}\n{body}")

    def events(self, name: str, day: date, people: int) -> list[dict[str, Any]]:
        countries = ("DE", "DE", "FR", "NZ", "DE", "FR", "SE")
        kinds = ("book", "book", "tool", "seed")
        return [
            {
                "app": name,
                "action": "buy" if turn else "look",
                "timestamp": f"{day}T{(person * 7 + turn) % 24:02}:00:00Z",
                "user_id": f"{name}-{person:05}",
                "event_id": f"{name}-{day}-{person:05}-{turn}",
                "geo_hint": countries[person % len(countries)],
                "consent": ["analytics"],
                "attributes": {"kind": kinds[person % 4], "price": 3 + person % 60} if turn else {},
            }
            for person in range(people)
            for turn in (0, 1)
        ]

    def fill(self, *names: str) -> None:
        """History for these nodes, in requests that the node takes."""
        for name in names:
            scopes = {"kind": "write", "scopes": ["events", "backfill"], "label": "test"}
            self.tokens[name] = self.places[name].admin.post("/v1/admin/tokens", scopes)["token"]
            for day in range(DAYS):
                events = self.events(name, self.first + timedelta(days=day), PEOPLE)
                for start in range(0, len(events), 500):
                    receipt = self.send(name, events[start : start + 500])
                    assert receipt["accepted"] == len(events[start : start + 500]), receipt

    def url(self, name: str, path: str = "") -> str:
        return self.places[name].url + path

    def get(self, name: str, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url(name, path), timeout=20) as reply:
            document: dict[str, Any] = json.load(reply)
        return document

    def released(self, name: str) -> int:
        """How many releases this node counts."""
        total: int = self.get(name, "/v1/releases?limit=1")["metadata"]["total"]
        return total

    def newest(self, name: str, metric: str) -> dict[str, Any]:
        data: dict[str, Any] = self.get(name, f"/v1/insights/{metric}?last=7d")["data"]
        return data


def make_site(root: Path) -> Site:
    """Three nodes that have released, and a fourth whose history is sealed but not finished."""
    site = Site(root)
    try:
        site.start(*NAMES)
        site.fill(*NAMES)
        for name in NAMES[:-1]:
            site.finish(name)
    except BaseException:
        site.close()
        raise
    return site
