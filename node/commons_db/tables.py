"""The tables of the commons: what researchers may name, and how they are stored (specs/commons.md 2).

Stored once per layout: what a cell is called and how noisy it is. Stored once per release: who, when, what. A released
cell itself is three integers. The documented names are views over these; nothing else may be named in a statement.

Where the charter demands several organisations (`store.rules`), the views hold nothing finer than sums over so many: no
cells of single releases, no ids that a guess at them could be held against, no sums of fewer (specs/metrics.md 9.9).
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 3  # another number: the file is rebuilt
FILE_NAME: Final = "commons.duckdb"

Columns = tuple[tuple[str, str, str], ...]
"""(name, DuckDB type, meaning)."""

_SLOT: Final[Columns] = (
    ("metric", "VARCHAR", "name in the catalogue"),
    ("definition", "VARCHAR", "hash of the definition, hex"),
    ("period", "VARCHAR", "the window, such as 2026-11-18/P1D"),
    ("starts", "TIMESTAMP", "its first instant, UTC"),
    ("ends", "TIMESTAMP", "the first instant after it, UTC"),
)
_WHO: Final[Columns] = (
    ("node", "VARCHAR", "node id, hex"),
    ("name", "VARCHAR", "the member's name in the charter"),
)
_CELL: Final[Columns] = (
    ("block", "VARCHAR", "stretch of the vector: count, people, …"),
    ("cell", "INTEGER", "position in the vector; of discovered keys null in sums over nodes"),
    ("key", "MAP(VARCHAR, VARCHAR)", "label by dimension: key['country']"),
)

TABLES: Final[dict[str, Columns]] = {
    "released_cells": (
        *_SLOT,
        *_WHO,
        *_CELL,
        ("value", "DOUBLE", "the released, noised number in the measure's unit; may be negative"),
        ("sigma", "DOUBLE", "standard deviation of its noise, same unit"),
        ("units", "BIGINT", "the released integer itself; value = units * quantum"),
        ("quantum", "DOUBLE", "what one unit is worth"),
        ("release", "VARCHAR", "release id, hex"),
    ),
    "insights": (
        *_SLOT,
        *_CELL,
        ("estimate", "DOUBLE", "sum over the nodes that released"),
        ("lower", "DOUBLE", "estimate - 1.96 sigma; /v1/insights gives the exact interval"),
        ("upper", "DOUBLE", "estimate + 1.96 sigma"),
        ("sigma", "DOUBLE", "standard deviation of the noise of the sum"),
        ("nodes", "BIGINT", "how many nodes it sums; of discovered keys, those that name the key"),
    ),
    "releases": (
        *_SLOT,
        *_WHO,
        ("release", "VARCHAR", "release id, hex; null where the charter demands several organisations"),
        ("entry", "VARCHAR", "id of the log entry that carries it, hex; null as above"),
        ("person_key", "VARCHAR", "what stands for a person: user, session or address"),
        ("sampling", "DOUBLE", "share of persons counted"),
        ("cells", "INTEGER", "length of the vector"),
        ("epoch", "VARCHAR", "the epoch it is charged to"),
        ("rho", "DOUBLE", "privacy cost, zCDP"),
        ("signed_at", "TIMESTAMP", "the author's claimed time, UTC"),
    ),
    "abstentions": (*_SLOT, *_WHO, ("reason", "VARCHAR", "why the node declined this window")),
    "metrics": (
        ("metric", "VARCHAR", "name in the catalogue"),
        ("definition", "VARCHAR", "hash of the definition, hex"),
        ("question", "VARCHAR", "what it answers, in words"),
        ("measure", "VARCHAR", "count, people, histogram, …"),
        ("kind", "VARCHAR", "hour, day, week or month"),
        ("starts", "TIMESTAMP", "first instant it holds for, UTC"),
        ("ends", "TIMESTAMP", "first instant it no longer holds for, or null"),
        ("dimensions", "VARCHAR[]", "names of its axes"),
        ("cells", "INTEGER", "length of its vector"),
        ("mechanism", "VARCHAR", "name of the noise"),
        ("max_cells", "INTEGER", "most groups one person adds to"),
        ("max_per_cell", "INTEGER", "most one person adds to each"),
        ("rho", "DOUBLE", "privacy cost of one release, zCDP"),
    ),
    "members": (
        *_WHO,
        ("organisation", "VARCHAR", "id of its organisation"),
        ("counts_from", "TIMESTAMP", "from when its windows are expected, UTC"),
    ),
    "dictionary": (
        ("table_name", "VARCHAR", "a table of the commons"),
        ("column_name", "VARCHAR", "a column of it"),
        ("type", "VARCHAR", "its type"),
        ("meaning", "VARCHAR", "what it holds"),
    ),
}

STORED: Final = """
CREATE SCHEMA store;
CREATE TABLE store.layouts (layout INTEGER, block VARCHAR, cell INTEGER, key MAP(VARCHAR, VARCHAR),
    quantum DOUBLE, sigma DOUBLE);
CREATE TABLE store.layout_names (layout INTEGER, name VARCHAR);
CREATE TABLE store.cells (slot INTEGER, cell INTEGER, units BIGINT);
CREATE TABLE store.releases (slot INTEGER, layout INTEGER, metric VARCHAR, definition VARCHAR, period VARCHAR,
    starts TIMESTAMP, ends TIMESTAMP, node VARCHAR, release VARCHAR, entry VARCHAR, person_key VARCHAR,
    sampling DOUBLE, cells INTEGER, epoch VARCHAR, rho DOUBLE, signed_at TIMESTAMP, keyed BOOLEAN);
CREATE TABLE store.abstentions (metric VARCHAR, definition VARCHAR, period VARCHAR, starts TIMESTAMP, ends TIMESTAMP,
    node VARCHAR, reason VARCHAR);
CREATE TABLE store.rules (min_organisations INTEGER);
CREATE TABLE store.members (place INTEGER, node VARCHAR, name VARCHAR, organisation VARCHAR, counts_from TIMESTAMP);
CREATE TABLE metrics (metric VARCHAR, definition VARCHAR, question VARCHAR, measure VARCHAR, kind VARCHAR,
    starts TIMESTAMP, ends TIMESTAMP, dimensions VARCHAR[], cells INTEGER, mechanism VARCHAR, max_cells INTEGER,
    max_per_cell INTEGER, rho DOUBLE);
CREATE TABLE dictionary (table_name VARCHAR, column_name VARCHAR, type VARCHAR, meaning VARCHAR);
CREATE VIEW store.enough AS
    SELECT r.definition, r.period FROM store.releases r LEFT JOIN store.members m USING (node) GROUP BY ALL
    HAVING count(DISTINCT m.organisation) >= (SELECT min_organisations FROM store.rules)
        OR (SELECT min_organisations FROM store.rules) = 1;
CREATE VIEW members AS SELECT node, name, organisation, counts_from FROM store.members ORDER BY place;
CREATE VIEW releases AS
    SELECT r.metric, r.definition, r.period, r.starts, r.ends, r.node, m.name,
        CASE WHEN u.min_organisations = 1 THEN r.release END AS release,
        CASE WHEN u.min_organisations = 1 THEN r.entry END AS entry,
        r.person_key, r.sampling, r.cells, r.epoch, r.rho, r.signed_at
    FROM store.releases r CROSS JOIN store.rules u LEFT JOIN store.members m USING (node);
CREATE VIEW abstentions AS
    SELECT a.metric, a.definition, a.period, a.starts, a.ends, a.node, m.name, a.reason
    FROM store.abstentions a LEFT JOIN store.members m USING (node);
CREATE VIEW released_cells AS
    SELECT r.metric, r.definition, r.period, r.starts, r.ends, r.node, m.name, l.block, c.cell, l.key,
        c.units * l.quantum AS value, l.sigma, c.units, l.quantum, r.release
    FROM store.cells c JOIN store.releases r USING (slot)
        JOIN store.layouts l ON l.layout = r.layout AND l.cell = c.cell LEFT JOIN store.members m USING (node)
    WHERE (SELECT min_organisations FROM store.rules) = 1;
CREATE VIEW insights AS
    SELECT s.metric, s.definition, s.period, s.starts, s.ends, l.block, s.cell, l.key,
        s.units * l.quantum AS estimate,
        s.units * l.quantum - 1.959963985 * l.sigma * sqrt(s.nodes) AS lower,
        s.units * l.quantum + 1.959963985 * l.sigma * sqrt(s.nodes) AS upper,
        l.sigma * sqrt(s.nodes) AS sigma, s.nodes
    FROM (SELECT r.metric, r.definition, r.period, r.starts, r.ends, r.layout, c.cell, sum(c.units) AS units,
            count(*) AS nodes
        FROM store.cells c
            JOIN (SELECT * FROM store.releases SEMI JOIN store.enough USING (definition, period)) r USING (slot)
        WHERE NOT r.keyed GROUP BY ALL) s
        JOIN store.layouts l ON l.layout = s.layout AND l.cell = s.cell
    UNION ALL
    SELECT metric, definition, period, starts, ends, block, NULL, key, estimate, estimate - 1.959963985 * sigma,
        estimate + 1.959963985 * sigma, sigma, nodes
    FROM (SELECT r.metric, r.definition, r.period, r.starts, r.ends, l.block, l.key,
            sum(c.units * l.quantum) AS estimate, sqrt(sum(l.sigma * l.sigma)) AS sigma, count(*) AS nodes
        FROM store.cells c JOIN store.releases r USING (slot)
            JOIN store.layouts l ON l.layout = r.layout AND l.cell = c.cell LEFT JOIN store.members m USING (node)
        WHERE r.keyed GROUP BY ALL
        HAVING count(DISTINCT m.organisation) >= (SELECT min_organisations FROM store.rules)
            OR (SELECT min_organisations FROM store.rules) = 1);
"""
"""Everything a new file holds before its first row."""
