"""What callers of `/api/irt` send and get, field by field."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from calibration_pipeline.interfaces.api.schemas.common import ContractRequest, Schema

_MOST_ITEMS = 100_000

IrtItemId = Annotated[str, Field(min_length=1, max_length=200, description="As in the bank.")]


class IrtCalibrationRequest(ContractRequest):
    """What to calibrate. Every field may be left out, and the body as well."""

    item_ids: list[IrtItemId] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_ITEMS,
        description="Which items the answer is about; all if left out. The whole pool is "
        "calibrated in any case: items share their candidates.",
    )
    min_responses: int = Field(
        default=100,
        ge=1,
        le=2**31 - 1,
        description="Answers in the window from which on an item counts as calibrated, but never "
        "fewer than the programme's own minimum.",
    )
    max_iterations: int = Field(
        default=100,
        ge=1,
        le=500,
        description="Limit of EM. A lower one than the programme's own changes nothing.",
    )
    convergence_threshold: float = Field(
        default=0.001,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="Largest change of a parameter at the end of EM. One that is looser than the "
        "programme's own changes nothing, and one below 0.00001 counts as that.",
    )


class IrtItemParameters(Schema):
    """An item's published values, in P = c + (1 − c) / (1 + exp(−D a (θ − b)))."""

    item_id: str = Field(description="As in the bank; its newest wording.")
    a: float = Field(description="Discrimination.")
    b: float = Field(description="Difficulty.")
    c: float = Field(description="Guessing.")
    a_se: float | None = Field(description="Standard error of a; null where it isn't determined.")
    b_se: float | None = Field(description="Standard error of b; null where it isn't determined.")
    c_se: float | None = Field(description="Standard error of c; null where it isn't determined.")
    infit_mnsq: float | None = Field(description="Infit mean square; null without answers.")
    outfit_mnsq: float | None = Field(description="Outfit mean square; null without answers.")
    is_flagged: bool = Field(description="Infit or outfit lies outside the range, 0.7 to 1.3.")
    response_count: int = Field(description="Answers in the window that were used.")
    calibrated_at: datetime = Field(description="When the values were published first.")
    calibration_run_id: str = Field(description="The run that found them, in the run log.")


class IrtSkippedItem(Schema):
    """An item that isn't in `parameters`, and why."""

    item_id: str = Field(description="As in the bank, or as it was asked for.")
    reason: str = Field(
        description="`insufficient_responses`; `held_as_anchor`: its values are fixed; or "
        "`unknown_item`."
    )
    response_count: int = Field(description="Answers in the window.")


class IrtCalibrationResponse(Schema):
    """How a calibration ended, and what it found."""

    calibration_run_id: str = Field(description="The run's id in the run log.")
    items_calibrated: int = Field(description="Length of `parameters`.")
    items_skipped: int = Field(description="Length of `skipped_items`.")
    items_flagged: int = Field(description="Items of `parameters` that are flagged.")
    convergence_achieved: bool = Field(description="Whether EM converged on every scale.")
    iterations_used: int = Field(description="Cycles of EM, on the scale with the most.")
    elapsed_seconds: float = Field(description="From the request to the answer.")
    parameters: list[IrtItemParameters] = Field(description="By item id.")
    skipped_items: list[IrtSkippedItem] = Field(description="By item id.")


class IrtCalibrationAnswer(Schema):
    """The envelope of a calibration."""

    data: IrtCalibrationResponse = Field(description="How it ended.")
    error: None = Field(default=None, description="Always null beside data.")


class IrtParametersAnswer(Schema):
    """The envelope of an item's parameters."""

    data: IrtItemParameters = Field(description="The item's values.")
    error: None = Field(default=None, description="Always null beside data.")
