"""Ask a node from Python: `from node.client import Client`.

    c = Client("http://127.0.0.1:7700", token="mr_…")
    c.metrics()
    r = c.query("people_by_country", by="country", last="30d")
    r                         # a table with whiskers in Jupyter
    r.to_pandas(); r.cite(); r.verify(federation="8a41…")
    c.sql("SELECT metric, count(*) FROM releases GROUP BY metric")
    for event in c.live(): …

Only the standard library until pandas, polars or Arrow are asked for. `AsyncClient` is the same with `await`.
"""

from __future__ import annotations

from node.client.answers import Answer, Table
from node.client.asynchronous import AsyncClient
from node.client.errors import BadQuestion, ClientError, NotAllowed, NotFound, RateLimited, Unavailable
from node.client.synchronous import Client

__all__ = [
    "Answer", "AsyncClient", "BadQuestion", "Client", "ClientError", "NotAllowed", "NotFound", "RateLimited", "Table",
    "Unavailable",
]  # fmt: skip
