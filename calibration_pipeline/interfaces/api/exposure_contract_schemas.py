"""What callers of `/v1/admin/exposure` send and get, field by field."""

from typing import Annotated, Literal

from pydantic import Field

from calibration_pipeline.interfaces.api.schemas.common import ContractRequest, Schema

QuestionId = Annotated[
    Annotated[int, Field(strict=True, ge=0, lt=10**18)]
    | Annotated[str, Field(min_length=1, max_length=200)],
    Field(description="The item's id in the bank; a number where the id is one."),
]


class ExposureItemRow(Schema):
    """An item of the version in force, and how freely it may be given."""

    question_id: QuestionId
    version: int = Field(description="The item's content version.")
    topic_id: int | str | None = Field(description="Its content family, if it has one.")
    sh_p: float = Field(
        description="Probability with which it may be given; 1 without exposure control. The "
        "lowest, where levels of ability have their own."
    )
    recent_attempts: int = Field(description="Archived answers of today and the last 7 days.")


class SetProbability(ContractRequest):
    """A probability set by hand."""

    question_id: QuestionId
    version: int = Field(ge=1, le=2**31 - 1, description="Its content version.")
    sh_p: float = Field(
        ge=0, le=1, allow_inf_nan=False, description="With which it may be given, 0 to 1."
    )


class Done(Schema):
    """It is done."""

    ok: Literal[True] = Field(default=True, description="Always true.")


class CalibrateExposure(ContractRequest):
    """The test, who takes it, and Sympson and Hetter's iterations."""

    exam_code: str = Field(min_length=1, max_length=200, description="A scale of the bank.")
    tau: float = Field(
        default=0.2, gt=0, le=1, allow_inf_nan=False, description="Highest exposure rate wanted."
    )
    n: int = Field(default=400, ge=10, le=20_000, description="Simulated persons an iteration.")
    test_len: int = Field(default=25, ge=1, le=200, description="Items of a test.")
    iters: int = Field(default=5, ge=1, le=50, description="Iterations.")
    alpha: float = Field(
        default=0.6, gt=0, le=1, allow_inf_nan=False, description="Damping: 1 corrects at once."
    )
    theta_dist: str = Field(
        default="normal0,1",
        pattern=r"^(normal|uniform|fixed)$|^(normal|uniform)-?[0-9]{1,3}(\.[0-9]{1,6})?,-?[0-9]{1,3}(\.[0-9]{1,6})?$"
        r"|^fixed-?[0-9]{1,3}(\.[0-9]{1,6})?$",
        description="Abilities: `normal` with mean and standard deviation (0,1 if left out), "
        "`uniform` with both ends (-1,1), or `fixed` with one value (0).",
    )
    floor: float = Field(
        default=0.02, gt=0, le=1, allow_inf_nan=False, description="Lowest probability."
    )
    ceil: float = Field(
        default=1.0, gt=0, le=1, allow_inf_nan=False, description="Highest probability."
    )
    dry_run: bool = Field(default=False, description="Store nothing.")


class ExposureCalibrated(Schema):
    """What the simulation found."""

    ok: Literal[True] = Field(default=True, description="Always true.")
    stdout: str = Field(description="A summary for people, in lines.")
    version: int = Field(description="Published version whose items these are.")
    stored: bool = Field(description="Whether engines read these probabilities from now on.")
    is_reached: bool = Field(description="Whether no item is seen by more than tau, about.")
    worst_rate: float = Field(description="Highest rate of an item, by independent persons.")
    worst_rate_without: float = Field(description="The same without control.")
    items_held_back: int = Field(description="Items with a probability below 1.")
