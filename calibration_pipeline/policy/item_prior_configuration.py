"""Settings of the priors of new items: who teaches, who is taught, and which fit is used."""

from dataclasses import dataclass

from calibration_pipeline.irt.configuration import require


@dataclass(frozen=True)
class ItemPriorConfiguration:
    """When items teach priors or are given them, and what makes a fit unusable.

    Attributes
    ----------
    enough_responses
        Answers in all from which an item needs no prior of its own: those of fewer get theirs from
        the hierarchy.
    teaching_responses
        Answers in all from which an item teaches. Its error is taken into account, so that a few
        answers do no harm; with fewer still its estimate is not normal.
    minimum_teachers
        Of a scale with fewer, nothing is learned.
    maximum_pareto_k
        Shape of the largest importance weights above which the draws can't be trusted (Vehtari et
        al. 2024).
    minimum_effective_draws
        Draws without weights that the weighed ones must be worth.
    coverage_range
        Between which the share of teachers must lie whose estimate is inside its 95% interval.
    """

    enough_responses: int = 300
    teaching_responses: int = 100
    minimum_teachers: int = 100
    maximum_pareto_k: float = 0.7
    minimum_effective_draws: int = 50
    coverage_range: tuple[float, float] = (0.88, 0.99)

    def __post_init__(self) -> None:
        """Refuse values under which the priors make no sense.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        require(self.enough_responses >= 0, "enough_responses must be 0 or more")
        for name in ("teaching_responses", "minimum_teachers", "minimum_effective_draws"):
            require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        require(0 < self.maximum_pareto_k <= 1, "maximum_pareto_k must lie in (0, 1]")
        low, high = self.coverage_range
        require(0 <= low <= high <= 1, "coverage_range must go from a lower to a higher share")
