"""Whether a scale still stands where its anchors were, as far as anything but them can tell."""

from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records.states import CalibrationState, ScaleState


@dataclass(frozen=True)
class ScaleNight:
    """What an accepted night left behind of one scale, for later nights to look back on.

    Attributes
    ----------
    partition, attempt, anchor_set_id
        The night, the try that counts, and the anchors that held the scale.
    scale
        Its name.
    population_mean, population_sd
        Of the window's candidates, on the scale of the state.
    """

    partition: date
    attempt: int
    anchor_set_id: int | None
    scale: str
    population_mean: float
    population_sd: float

    @classmethod
    def of(cls, state: CalibrationState, scale: ScaleState) -> "ScaleNight":
        """Take from a night what it leaves behind of one of its scales."""
        return cls(
            partition=state.partition,
            attempt=state.attempt,
            anchor_set_id=state.anchor_set_id,
            scale=scale.name,
            population_mean=scale.population_mean,
            population_sd=scale.population_sd,
        )


@dataclass(frozen=True)
class ScaleWatch:
    """The verdict of a night on one scale.

    Attributes
    ----------
    scale
        Its name.
    residual_shift, residual_shift_se
        By how much free items have become harder, compared with anchors and with what authors
        expected, since `compared_with`; NaN where there is nothing to compare.
    compared_with
        The night that the residuals are compared with.
    mean_score, sd_score
        Cumulated evidence that the candidates' mean and spread have moved, in standard deviations
        of a night, negative for a fall; NaN while there is too little history.
    score_limit
        From which a score is an alarm.
    moving_since
        The night after which the larger score began to grow; None if neither is an alarm.
    reasons
        Why a person should look at the scale; empty if there is nothing to see.
    """

    scale: str
    residual_shift: float
    residual_shift_se: float
    compared_with: date | None
    mean_score: float
    sd_score: float
    score_limit: float
    moving_since: date | None
    reasons: tuple[str, ...]

    @property
    def is_alarm(self) -> bool:
        """Whether a review is asked for."""
        return bool(self.reasons)
