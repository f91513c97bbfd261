"""Settings of exposure control: how the test picks items, and how their exposure is held down."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from calibration_pipeline.irt.configuration import require

ControlMethod = Literal["off", "eligibility", "sympson-hetter"]
METHODS: tuple[ControlMethod, ...] = ("off", "eligibility", "sympson-hetter")


@dataclass(frozen=True)
class ExposureConfiguration:
    """How exposure is controlled each night; the maximum itself is `maximum_exposure_rate`.

    The probabilities are found by simulating the test, so that they hold for a test as it is
    described here.

    Attributes
    ----------
    method
        'off', 'eligibility' or 'sympson-hetter'.
    answers
        Items of a test.
    top
        An item is drawn from so many of the most informative; 1 takes the best.
    is_weighted
        Whether that draw favours the more informative ones, in proportion.
    least_answers, enough_sd
        A test may end from so many answers on, once the posterior standard deviation of ability is
        this small; 0 never ends one early.
    cuts
        Abilities between the levels that have rates of their own; none for one level.
    candidates
        Simulated in each of the last cycles of a search; earlier ones of the eligibility method
        take fewer.
    verifying_candidates
        Of the independent simulation that says what is reached.
    tolerance
        How far above the maximum, in relation to it, that simulation may come out.
    iterations, damping, floor, ceiling
        Of Sympson and Hetter's method: cycles, the power of its correction, and bounds of the
        probabilities.
    """

    method: ControlMethod = "off"
    answers: int = 30
    top: int = 5
    is_weighted: bool = False
    least_answers: int = 1
    enough_sd: float = 0.0
    cuts: tuple[float, ...] = ()
    candidates: int = 5000
    verifying_candidates: int = 100_000
    tolerance: float = 0.025
    iterations: int = 6
    damping: float = 0.6
    floor: float = 0.02
    ceiling: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values under which no test can be simulated.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        require(self.method in METHODS, f"method must be one of {', '.join(METHODS)}")
        for name in ("answers", "top", "least_answers", "iterations", "verifying_candidates"):
            require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        require(self.candidates >= 10, "candidates must be 10 or more")
        numbers = (self.enough_sd, self.tolerance, *self.cuts)
        require(all(map(isfinite, numbers)), "enough_sd, tolerance and cuts must be finite")
        for name in ("enough_sd", "tolerance"):
            require(getattr(self, name) >= 0, f"{name} must be 0 or more")
        require(self.least_answers <= self.answers, "least_answers must not be above answers")
        require(
            tuple(sorted(set(self.cuts))) == tuple(self.cuts),
            "cuts must go from lower to higher values",
        )
        require(0 < self.damping <= 1, "damping must lie above 0 and not above 1")
        require(
            0 < self.floor <= self.ceiling <= 1,
            "floor and ceiling must lie above 0 and not above 1, in this order",
        )
