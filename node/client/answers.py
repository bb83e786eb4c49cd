"""What a node answered, for reading: tables in Jupyter, frames for other tools, a chart, a citation, a check.

Numbers stay as the node gave them: whole where the unit is whole, else decimal texts. Frames get doubles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.client.synchronous import Client

_NUMBERS = ("estimate", "lower", "upper", "sigma")


@dataclass(frozen=True)
class Table:
    """Rows with named columns.

    Args:
        is_truncated: True when there were more rows than the limit.
        commons: For SQL, how far the tables were: current, updating, rebuilding.
    """

    columns: list[str]
    rows: list[list[Any]]
    is_truncated: bool = False
    commons: str = "current"

    def __len__(self) -> int:
        return len(self.rows)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One mapping per row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_pandas(self) -> Any:
        """A pandas DataFrame; needs pandas."""
        import pandas  # type: ignore[import-untyped, import-not-found, unused-ignore]  # brought by who asks

        return pandas.DataFrame(self.rows, columns=self.columns)

    def to_polars(self) -> Any:
        """A polars DataFrame; needs polars."""
        import polars  # type: ignore[import-not-found, unused-ignore]  # brought by who asks

        return polars.DataFrame(self.rows, schema=self.columns, orient="row")

    def to_arrow(self) -> Any:
        """A pyarrow Table; needs pyarrow."""
        import pyarrow

        return pyarrow.table({name: [row[place] for row in self.rows] for place, name in enumerate(self.columns)})

    def _repr_html_(self) -> str:
        from node.client.html import table_html

        return table_html(self.columns, self.rows)


@dataclass(frozen=True)
class Answer:
    """One answer with its privacy intervals."""

    data: dict[str, Any]
    metadata: dict[str, Any]
    client: Client = field(repr=False)
    path: str = field(repr=False)

    @property
    def identity(self) -> str:
        """Hash of charter, question and release ids: equal identities mean equal answers."""
        return str(self.data["identity"])

    @property
    def badges(self) -> dict[str, Any]:
        """What stands beside the plain sum: `alarms` (empty when quiet), `sums`, `cells`, `influence`, `members`.

        Asked of the node unless the answer came with them (`badges=True`); they exclude nobody.

        Raises:
            ClientError: one of its kinds, when they have to be asked for.
        """
        if "badges" in self.data:
            return dict(self.data["badges"])
        return dict(self.again(badges=True).data["badges"])

    @property
    def columns(self) -> list[str]:
        """Dimensions, then estimate, lower, upper, sigma, shown."""
        return [*(axis["name"] for axis in self.data["dimensions"]), *_NUMBERS, "shown"]

    def to_table(self) -> Table:
        """One row per cell."""
        axes = [axis["name"] for axis in self.data["dimensions"]]
        rows = [
            [*(cell["key"].get(axis) for axis in axes), *(_number(cell[name]) for name in _NUMBERS), cell["shown"]]
            for cell in self.data["cells"]
        ]
        return Table(self.columns, rows)

    def to_pandas(self) -> Any:
        """A pandas DataFrame, one row per cell; needs pandas."""
        return self.to_table().to_pandas()

    def to_polars(self) -> Any:
        """A polars DataFrame, one row per cell; needs polars."""
        return self.to_table().to_polars()

    def to_arrow(self) -> Any:
        """A pyarrow Table, one row per cell; needs pyarrow."""
        return self.to_table().to_arrow()

    def chart(self) -> Any:
        """Estimates with their intervals as a drawing that Jupyter shows; `str()` of it is SVG."""
        from node.client.html import Chart

        return Chart(self.data)

    def cite(self, *, check: bool = True) -> str:
        """A BibTeX entry; with `check`, asks again and says in words when the inputs have changed since."""
        from node.client.citation import citation

        return citation(self, self.again().identity if check else None)

    def verify(self, federation: str | None = None) -> Verification:
        """Check offline every release behind this answer, and that its numbers follow from them to the byte.

        Args:
            federation: The federation id, hex, from a source you trust; None believes the node, which proves less.

        Raises:
            ProofRefused: naming the part of the proof that fails.
            BadQuestion: the answer has changed since.
        """
        from node.client.verification import verify

        return verify(self, federation)

    def proof(self) -> bytes:
        """The proof bundle of this answer: `verify` checks it, and so does "murmur verify FILE", without any node."""
        path, _, asked = self.path.partition("?")
        plain = [part for part in asked.split("&") if part and part.split("=")[0] not in ("badges", "compare")]
        query = "?" + "&".join(plain) if plain else ""
        return self.client._transport.send("GET", f"{path}.proof{query}", accept="*/*").body

    def again(self, *, raw: bool | None = None, badges: bool = False) -> Answer:
        """The same windows asked now; `raw` instead of the same way of rounding, `badges` beside it."""
        windows = self.data["windows"]
        asked: dict[str, Any] = {"level": self.data["level"], "raw": self.data["raw"] if raw is None else raw}
        if badges:
            asked["badges"] = True
        asked["by"] = ",".join(self.data["by"]) or "total"
        if windows["first"]:
            asked |= span_of(windows)
        return self.client.query(
            self.data["metric"], where=self.data.get("where"), nodes=self.data.get("nodes"), **asked
        )

    def _repr_html_(self) -> str:
        from node.client.html import answer_html

        return answer_html(self.data)


@dataclass(frozen=True)
class Verification:
    """What a check of an answer found.

    Args:
        releases: How many releases were checked.
        proved, not_proved: What that says, and what not.
    """

    releases: int
    proved: str
    not_proved: str

    def __str__(self) -> str:
        return f"{self.releases} releases checked.\nProved: {self.proved}.\nNot proved: {self.not_proved}."


def span_of(windows: dict[str, Any]) -> dict[str, str]:
    """The first and last window of an answer as the parameters `from_` and `to`."""
    from privacy.units import Window

    first, last = Window.parse(windows["first"]), Window.parse(windows["last"])
    return {"from_": f"{first.start:%Y-%m-%dT%H}", "to": f"{last.end:%Y-%m-%dT%H}"}


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value
