"""The errors of `privacy/`: nothing was released, nothing was charged.

Each says what happened, why, and what to do, and carries a stable `code` that REST, the CLI and logs
repeat. A message names definitions, limits and parameters; it never holds an event's content, a person or a
secret.

Sorted by who can act: first what the author of a metric or tracking plan mends, then what the operator
waits for, last what stops a release. A programmer's mistake (a wrong type, a vector of the wrong length)
stays a `TypeError` or `ValueError`.
"""

from __future__ import annotations

from typing import ClassVar


class PrivacyError(Exception):
    """Base of the family; raise one of the classes below.

    Args:
        what: What happened, without a full stop: "Metric refused".
        why: The reason, with expected and got, without a full stop.
        fix: What to do, one or more sentences, without the last full stop.
    """

    code: ClassVar[str] = "privacy_error"

    def __init__(self, *, what: str, why: str, fix: str) -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. {self.fix}."

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments: the default would call the class with positions, and the error would be
        # lost on its way out of a child process.
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(kind: type[PrivacyError], fields: dict[str, object]) -> PrivacyError:
    error = kind.__new__(kind)
    Exception.__init__(error, fields.get("what"), fields.get("why"), fields.get("fix"))
    error.__dict__.update(fields)
    return error


# -- what the author of a metric or a plan mends -------------------------------------------------------------


class InvalidParameterError(PrivacyError):
    """A number or option would weaken the guarantee, or is no exact number at all."""

    code = "invalid_parameter"


class InvalidWindow(InvalidParameterError):
    """A window or epoch that is not a whole UTC hour, day, week (from Monday) or month."""

    code = "invalid_window"


class BoundMissing(PrivacyError):
    """A contribution bound (max_cells, max_per_cell), edge list or domain is not stated."""

    code = "bound_missing"


class InvalidDefinition(PrivacyError):
    """A metric's text has an unknown key, a wrong shape, or parts that contradict each other."""

    code = "invalid_definition"


class UnknownMeasure(InvalidDefinition):
    """The measure is not one this version computes; guessing its bounds is out of the question."""

    code = "unknown_measure"


class UnknownMechanism(InvalidDefinition):
    """The noise mechanism is not one this version draws."""

    code = "unknown_mechanism"


class TooManyCells(InvalidDefinition):
    """The layout has more cells than a summary may carry."""

    code = "too_many_cells"


class OverflowPossible(InvalidDefinition):
    """The bounds allow a sum that leaves the exact range; decided from the definition, never from data."""

    code = "overflow_possible"


class InvalidPlan(PrivacyError):
    """A tracking plan has an unknown key, a wrong shape, or parts that contradict each other."""

    code = "invalid_plan"


# -- what the operator waits for or decides ------------------------------------------------------------------


class BudgetExhausted(PrivacyError):
    """The charge would pass the epoch's cap. Depends on definitions only, never on data (PRIVACY 5).

    Attributes:
        rule: Name of the cap that would be passed, e.g. "rho" or "delta" and the epoch.
        deficit: How much is missing, in the rule's whole units (nano-rho, or 10⁻¹⁸ for delta); > 0.
        returns: When room returns, as text a person reads.
        nearest: The nearest request that would pass, as text a person reads.
    """

    code = "budget_exhausted"

    def __init__(
        self,
        *,
        rule: str,
        deficit: int,
        returns: str,
        nearest: str,
        what: str = "Release refused",
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(
            what=what,
            why=why or f"the budget rule {rule} lacks {deficit}",
            fix=fix or f"Room returns {returns}; the nearest request that passes now is {nearest}",
        )
        self.rule = rule
        self.deficit = deficit
        self.returns = returns
        self.nearest = nearest


class InvalidLedger(PrivacyError):
    """A balance, cap or charge cannot be read as whole non-negative units: refuse rather than guess."""

    code = "invalid_ledger"


# -- what stops a release ------------------------------------------------------------------------------------


class BoundViolated(PrivacyError):
    """A bounded vector does not fit its layout (length, range). A bug or a damaged engine: nothing goes
    out."""

    code = "bound_violated"


class ReleaseRefused(PrivacyError):
    """Layout, noise, vector, charges and slot do not belong together; nothing goes out."""

    code = "release_refused"


class NoiseUnavailable(PrivacyError):
    """The source of randomness failed, or a parameter lies beyond what the sampler can draw exactly."""

    code = "noise_unavailable"
