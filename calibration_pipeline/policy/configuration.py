"""The programme's decisions, with their defaults: the only home of every threshold."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from calibration_pipeline.irt.configuration import (
    LINKING_METHODS,
    LINKING_WEIGHTS,
    EMConfiguration,
    LinkingMethod,
    LinkingWeights,
    require,
)
from calibration_pipeline.policy.anchor_configuration import AnchorConfiguration
from calibration_pipeline.policy.cold_start_configuration import ColdStartConfiguration
from calibration_pipeline.policy.cross_check_configuration import (
    AuditConfiguration,
    SecondOpinionConfiguration,
)
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.policy.flag_configuration import FlagConfiguration
from calibration_pipeline.policy.item_prior_configuration import ItemPriorConfiguration
from calibration_pipeline.policy.leak_configuration import LeakConfiguration

OutcomePolicy = Literal["wrong", "absent"]
"""What an item without an answer counts as: a wrong answer, or as if it had not been given."""


_METHODS = ", ".join(LINKING_METHODS)
_WEIGHTS = " or ".join(LINKING_WEIGHTS)


@dataclass(frozen=True)
class CalibrationConfiguration:
    """Settings of a night.

    Attributes
    ----------
    window_days
        Days of answers in a fit, the night's own day included.
    minimum_responses
        Answers in the window that an item needs for new values to be published.
    trust_threshold
        Answers in all from which an item is trusted instead of provisional.
    minimum_session_answers
        A shorter session informs nothing.
    minimum_items_per_scale
        A scale with fewer eligible items is not refitted.
    maximum_quarantined_share
        Share of a day's rows; more stops the night before the fit.
    forgetting_half_life_days
        Age at which carried information counts half.
    contradiction_z
        What an item carries is dropped when the window puts its difficulty at least so many
        standard errors elsewhere.
    difficulty_drift, discrimination_floor, guessing_rise
        Flag thresholds: |Δb| from last night, a, and Δc.
    misfit_low, misfit_high
        Infit or outfit outside this range is flagged.
    credible_z
        A flag is credible when its z is at least this large.
    maximum_moved_share
        Share of re-estimated items that may move by more than `difficulty_drift` credibly.
    linking_slope_range, linking_intercept_range
        Linking constants outside stop publication.
    population_mean_range, population_sd_range
        A fitted population outside rejects the night.
    linking_method
        How constants are estimated from the anchors: by 'stocking-lord', 'haebara', 'mean-sigma'
        or 'mean-mean'.
    linking_is_symmetric
        Whether the first two compare curves on either scale, instead of the reference's alone.
    linking_corrects_attenuation
        Whether the bias that the errors of the shadow refits cause is taken off the constants.
    linking_weights
        'precision': an anchor counts as much as its difficulty is known; 'equal': all alike.
    linking_quadrature_nodes, linking_quadrature_bound
        Equally spaced abilities at which they compare them, from minus to plus the bound.
    minimum_anchors
        A scale with fewer anchors to link by is not linked; so many are kept at least.
    minimum_anchor_responses
        Answers in the window that an anchor needs to take part in linking.
    anchor_rejection_z
        An anchor is left out of the link when, with the constants applied, its shadow refit lies
        at least so many standard errors from its reference.
    maximum_anchor_shift
        An anchor whose difficulty lies further from its reference then is left out in any case.
    maximum_exposure_rate
        Share of sessions that may see an item; what is above stands out in `item_exposure`, which
        holds items down to it where `exposure` says how.
    prior_discrimination, prior_difficulty, prior_guessing
        (mean, sd) of log a, b and logit c before anything has been learned from anchors.
    omitted_answers, not_reached_answers, invalid_answers
        What each of these counts as: 'wrong' or 'absent'.
    rapid_guess_share, rapid_guess_cap_seconds, rapid_guess_minimum_times
        An answer is a rapid guess when it took less than this share of its item's median time, at
        most the cap; an item with fewer timed answers has no threshold.
    rapid_guess_weight
        How much a rapid guess counts, from 0 (not at all) to 1 (marked only).
    aberrant_session_z
        A session whose person fit lies further below 0 is aberrant.
    aberrant_session_weight
        How much an answer of an aberrant session counts, from 0 to 1.
    separate_repeated_exposures
        A candidate's later answers to an item inform abilities only.
    use_population_groups, use_starting_ability
        Whether groups of candidates, and the ability that sessions start from, tell abilities.
    minimum_group_sessions
        A smaller group of candidates is merged into the largest.
    differential_minimum_answers
        Answers in the window that an item needs in each of two groups to be compared (200 in the
        smaller one: Zwick 2012, ETS Research Report RR-12-08).
    differential_mh_delta
        Mantel–Haenszel delta from which a difference between groups is flagged; class B begins
        at 1.
    differential_false_discovery_rate
        Share of false alarms among the credible flags of one group.
    anchors
        Settings of the selection of anchors.
    flags
        Settings of what flags ask of reviewers.
    leaks
        Settings of the leak watch.
    exposure
        Settings of exposure control.
    item_priors
        Settings of the priors of new items.
    cold_start
        Settings of where new items should be shown.
    audit
        Settings of the posterior audit.
    second_opinion
        Settings of the comparison with py-irt.
    em
        Settings of the estimator.
    """

    window_days: int = 30
    minimum_responses: int = 25
    trust_threshold: int = 300
    minimum_session_answers: int = 3
    minimum_items_per_scale: int = 2
    maximum_quarantined_share: float = 0.01
    forgetting_half_life_days: float = 180.0
    contradiction_z: float = 3.2
    difficulty_drift: float = 0.15
    discrimination_floor: float = 0.4
    guessing_rise: float = 0.05
    misfit_low: float = 0.7
    misfit_high: float = 1.3
    credible_z: float = 3.0
    maximum_moved_share: float = 0.2
    linking_slope_range: tuple[float, float] = (0.8, 1.25)
    linking_intercept_range: tuple[float, float] = (-0.3, 0.3)
    population_mean_range: tuple[float, float] = (-3.0, 3.0)
    population_sd_range: tuple[float, float] = (0.2, 5.0)
    linking_method: LinkingMethod = "stocking-lord"
    linking_is_symmetric: bool = False
    linking_corrects_attenuation: bool = True
    linking_weights: LinkingWeights = "precision"
    linking_quadrature_nodes: int = 40
    linking_quadrature_bound: float = 4.0
    minimum_anchors: int = 20
    minimum_anchor_responses: int = 100
    anchor_rejection_z: float = 2.5
    maximum_anchor_shift: float = 0.5
    maximum_exposure_rate: float = 0.2
    prior_discrimination: tuple[float, float] = (0.0, 0.5)
    prior_difficulty: tuple[float, float] = (0.0, 1.5)
    prior_guessing: tuple[float, float] = (-1.6, 0.5)
    omitted_answers: OutcomePolicy = "wrong"
    not_reached_answers: OutcomePolicy = "absent"
    invalid_answers: OutcomePolicy = "absent"
    rapid_guess_share: float = 0.1
    rapid_guess_cap_seconds: float = 10.0
    rapid_guess_minimum_times: int = 100
    rapid_guess_weight: float = 1.0
    aberrant_session_z: float = 3.0
    aberrant_session_weight: float = 1.0
    separate_repeated_exposures: bool = True
    use_population_groups: bool = True
    use_starting_ability: bool = True
    minimum_group_sessions: int = 200
    differential_minimum_answers: int = 200
    differential_mh_delta: float = 1.0
    differential_false_discovery_rate: float = 0.05
    anchors: AnchorConfiguration = field(default_factory=AnchorConfiguration)
    flags: FlagConfiguration = field(default_factory=FlagConfiguration)
    leaks: LeakConfiguration = field(default_factory=LeakConfiguration)
    exposure: ExposureConfiguration = field(default_factory=ExposureConfiguration)
    item_priors: ItemPriorConfiguration = field(default_factory=ItemPriorConfiguration)
    cold_start: ColdStartConfiguration = field(default_factory=ColdStartConfiguration)
    audit: AuditConfiguration = field(default_factory=AuditConfiguration)
    second_opinion: SecondOpinionConfiguration = field(default_factory=SecondOpinionConfiguration)
    em: EMConfiguration = field(default_factory=EMConfiguration)

    def __post_init__(self) -> None:
        """Refuse values that would damage a state or reject every night.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        for name in ("window_days", "minimum_responses", "trust_threshold",
                     "minimum_session_answers", "minimum_items_per_scale",
                     "minimum_anchor_responses", "minimum_anchors", "rapid_guess_minimum_times",
                     "minimum_group_sessions", "differential_minimum_answers"):  # fmt: skip
            require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        for name in ("forgetting_half_life_days", "contradiction_z", "difficulty_drift",
                     "credible_z",
                     "guessing_rise", "maximum_anchor_shift", "misfit_low",
                     "linking_quadrature_bound",
                     "rapid_guess_cap_seconds", "aberrant_session_z",
                     "differential_mh_delta"):  # fmt: skip
            require(getattr(self, name) > 0, f"{name} must be above 0")
        for name in ("maximum_quarantined_share", "maximum_moved_share", "maximum_exposure_rate",
                     "rapid_guess_share", "rapid_guess_weight",
                     "aberrant_session_weight"):  # fmt: skip
            require(0 <= getattr(self, name) <= 1, f"{name} must lie between 0 and 1")
        require(self.linking_method in LINKING_METHODS, f"linking_method must be one of {_METHODS}")
        require(self.linking_weights in LINKING_WEIGHTS, f"linking_weights must be {_WEIGHTS}")
        require(self.linking_quadrature_nodes >= 2, "linking_quadrature_nodes must be 2 or more")
        require(self.anchor_rejection_z >= 1, "anchor_rejection_z must be 1 or more")
        rate = self.differential_false_discovery_rate
        require(0 < rate < 1, "differential_false_discovery_rate must lie between 0 and 1")
        for name in ("omitted_answers", "not_reached_answers", "invalid_answers"):
            require(getattr(self, name) in ("wrong", "absent"), f"{name} must be wrong or absent")
        for name in ("linking_slope_range", "linking_intercept_range", "population_mean_range",
                     "population_sd_range"):  # fmt: skip
            low, high = getattr(self, name)
            require(low <= high, f"{name} must go from a lower to a higher value")
        for name in ("prior_discrimination", "prior_difficulty", "prior_guessing"):
            require(getattr(self, name)[1] > 0, f"the spread of {name} must be above 0")
        require(
            self.exposure.method == "off" or self.maximum_exposure_rate > 0,
            "maximum_exposure_rate must be above 0 where exposure is controlled",
        )
        require(self.misfit_low < self.misfit_high, "misfit_low must be below misfit_high")

    @property
    def absent_outcomes(self) -> tuple[bool, bool, bool, bool]:
        """Whether an answer is left out, by its place in `records.OUTCOMES`."""
        omitted, not_reached, invalid = (
            policy == "absent"
            for policy in (self.omitted_answers, self.not_reached_answers, self.invalid_answers)
        )
        return False, omitted, not_reached, invalid

    @property
    def digest(self) -> str:
        """SHA-256 of every setting."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
