"""What callers of the R calibration service send and get, field by field."""

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, FailFast, Field, Strict
from typing_extensions import TypedDict  # pydantic refuses that of Python 3.11's `typing`

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.api.schemas.common import ContractRequest, Schema

MOST_OBSERVATIONS = 250_000
"""Of a request: about what two processors fit in the time that callers wait."""


class TooManyObservationsError(BadInputError):
    """The request has more observations than a request may have."""


_Id = Annotated[str, Field(min_length=1, max_length=200)]


class Observation(TypedDict):
    """One answer of one person. Other fields are passed over."""

    # A TypedDict, and not a model: fifty thousand of them are read three times as fast.
    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]

    user_id: Annotated[_Id, Field(description="Who answered.")]
    item_id: Annotated[_Id, Field(description="What was answered.")]
    is_correct: Annotated[
        Literal[True, False, 0, 1], Field(description="Whether the answer was right.")
    ]
    responded_at: NotRequired[
        Annotated[
            Annotated[datetime, Strict()] | None,
            Field(
                description="When; without a time zone it is UTC. Of several answers of a person "
                "to an item the first counts, so that these need their times."
            ),
        ]
    ]


class CalibrationRequest(ContractRequest):
    """Answers to be calibrated on, and the model."""

    observations: Annotated[
        list[Observation],
        FailFast(),
        Field(
            min_length=1,
            description=f"The answers, {MOST_OBSERVATIONS:,} at most, in any order. At least two "
            "persons and two items, and a person who answered two of them.",
        ),
    ]
    model: Literal["1PL", "2PL", "3PL"] = Field(
        default="2PL",
        description="1PL: one discrimination for all items. 2PL: one for each. 3PL: a guessing "
        "parameter as well.",
    )
    priors: bool = Field(
        default=True,
        strict=True,
        description="Whether estimates are steadied by priors that are learned from the items "
        "themselves. False gives maximum likelihood within the bounds, as the R service did.",
    )


class ItemParameters(Schema):
    """An item's estimates, in P = c + (1 − c) / (1 + exp(−a (θ − b))), with θ in N(0, 1)."""

    item_id: str = Field(description="As it was sent.")
    model: str = Field(description="1PL, 2PL or 3PL.")
    params: dict[str, float | None] = Field(
        description="Discrimination a, difficulty b, and with a 3PL guessing c."
    )
    version: str = Field(description="Of the meaning of these fields.")
    se: dict[str, float | None] = Field(
        description="Standard errors of the same; null at a bound, or where the answers don't "
        "determine the parameter."
    )
    response_count: int = Field(description="Answers that count.")
    flags: list[str] = Field(
        description="What to know before using the values: all_right and all_wrong (one kind of "
        "answer: the values are the prior's), few_answers, unlinked, not_determined, "
        "discrimination_at_bound, difficulty_at_bound, guessing_at_bound, misfit_infit, "
        "misfit_outfit."
    )


class PersonAbility(Schema):
    """A person's ability: mean and standard deviation of its posterior."""

    user_id: str = Field(description="As it was sent.")
    theta: float = Field(description="In units of the persons' standard deviation.")
    se: float = Field(description="Its standard error.")
    model: str = Field(description="1PL, 2PL or 3PL.")
    version: str = Field(description="Of the meaning of these fields.")


class FitMeta(Schema):
    """What was fitted, and how well."""

    run_id: str = Field(description="`fit-` and the moment of the fit, in UTC.")
    model_spec: dict[str, Any] = Field(
        description="model, n_items, n_users; n_observations that count, n_repeated that don't "
        "(later answers to the same item); priors ('learned' or 'none'); scaling_constant D = 1."
    )
    metrics: dict[str, Any] = Field(
        description="logLik (marginal log-likelihood at the estimates, without priors), AIC, BIC, "
        "n_parameters, iterations, converged, elapsed_seconds."
    )


class CalibrationResult(Schema):
    """A fit of all items and persons of the request."""

    item_params: list[ItemParameters] = Field(description="One entry per item.")
    abilities: list[PersonAbility] = Field(description="One entry per person.")
    fit_meta: FitMeta = Field(description="What was fitted, and how well.")
