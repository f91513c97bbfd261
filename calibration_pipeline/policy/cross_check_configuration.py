"""Settings of the checks that run after publication: the posterior audit and the second opinion."""

from dataclasses import dataclass

from calibration_pipeline.irt.configuration import require


@dataclass(frozen=True)
class AuditConfiguration:
    """How many posteriors are sampled, and when the Gaussian that stands for one is poor.

    Attributes
    ----------
    items
        Audited at most: credibly flagged items first, at most half of them, then a random sample.
    least_answers, most_answers
        In the window, of an item that may be audited. With more than the latter a posterior is
        normal, and only costs time.
    chains, warmup, draws
        Of the sampler, for each item.
    maximum_mean_shift
        Distance of the two means, in posterior standard deviations, from which one is poor.
    sd_ratio_range
        The Gaussian's standard deviation over the posterior's; outside is poor.
    maximum_interval_shift
        Distance of an end of the two 95% intervals, in posterior standard deviations.
    maximum_r_hat, least_effective_draws
        The sampler has to do so well for an item to be judged.
    maximum_poor_share
        Share of poor items in the sample from which the check warns.
    """

    items: int = 50
    least_answers: int = 25
    most_answers: int = 5000
    chains: int = 4
    warmup: int = 100
    draws: int = 200
    maximum_mean_shift: float = 0.5
    sd_ratio_range: tuple[float, float] = (0.75, 1.35)
    maximum_interval_shift: float = 1.0
    maximum_r_hat: float = 1.05
    least_effective_draws: int = 200
    maximum_poor_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values under which nothing is sampled or judged.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        for name in ("items", "least_answers", "warmup", "least_effective_draws"):
            require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        require(self.chains >= 2, "chains must be 2 or more: one can't be compared with others")
        require(self.draws >= 10, "draws must be 10 or more")
        require(
            self.least_answers <= self.most_answers, "least_answers must not be above most_answers"
        )
        for name in ("maximum_mean_shift", "maximum_interval_shift"):
            require(getattr(self, name) > 0, f"{name} must be above 0")
        low, high = self.sd_ratio_range
        require(0 < low < 1 < high, "sd_ratio_range must have 1 inside, and begin above 0")
        require(self.maximum_r_hat > 1, "maximum_r_hat must be above 1")
        require(0 <= self.maximum_poor_share <= 1, "maximum_poor_share must lie between 0 and 1")


@dataclass(frozen=True)
class SecondOpinionConfiguration:
    """The sample that py-irt is given, and how well it has to agree.

    Attributes
    ----------
    answers
        Of the window at most: whole sessions, drawn at random until there are so many.
    least_answers
        In the sample, of an item whose values are compared.
    least_items
        Compared at least; with fewer nothing is said.
    epochs
        Steps of py-irt's optimiser.
    least_correlation, least_rank_correlation
        Of the difficulties, Pearson's and Spearman's, below which the check warns.
    """

    answers: int = 300_000
    least_answers: int = 100
    least_items: int = 20
    epochs: int = 1500
    least_correlation: float = 0.85
    least_rank_correlation: float = 0.85

    def __post_init__(self) -> None:
        """Refuse values under which nothing can be compared.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        for name in ("answers", "least_answers", "epochs"):
            require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        require(self.least_items >= 3, "least_items must be 3 or more")
        for name in ("least_correlation", "least_rank_correlation"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie between 0 and 1")
