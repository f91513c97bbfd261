"""Exposure control: with what probability an item may be given, so that few candidates see it.

The probabilities are found by one of two methods (`calibration_pipeline.irt.exposure_methods`);
what they reach is judged by candidates who had no part in that.

Both methods are unconditional with one level of ability. With several, every level has rates of its
own (Stocking & Lewis 1998). Rates are those of candidates by true ability, while a probability is
looked up by the estimate, which starts in the middle: rates come near the maximum, and the
verification says how near. A level is judged by its own candidates: the fewer it has, the further
below the maximum the search aims, and the more chance explains.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.adaptive_test import AdaptiveTest
from calibration_pipeline.irt.exposure_methods import (
    ControlledCycle,
    ItemEligibility,
    SympsonHetter,
    Tell,
    shares_of,
    unheard,
)
from calibration_pipeline.irt.model import BoolArray, FloatArray

__all__ = [
    "AdaptiveTest",
    "ControlledCycle",
    "ExposureControl",
    "ItemEligibility",
    "ReachedExposure",
    "SympsonHetter",
    "UnreachableRateError",
    "chance_margin",
    "control_exposure",
    "is_judged",
    "require_reachable",
    "verify",
]

_SAFETY = 3.0
"""Standard errors of a verified rate by which the eligibility method aims below the maximum: about
two of what chance moves it by, since the search has an error of the same size."""
_LOWEST_AIM = 0.9
"""Of the maximum: below it, precision would pay for too few candidates."""
_CHANCE = 3.0
"""Standard errors by which the worst of many items may come out above the maximum."""
_MOST_CHANCE = 0.5
"""Of the maximum: where chance explains more than that, there are too few candidates to judge."""


class UnreachableRateError(ValueError):
    """No probabilities keep the items of such a test below the maximum rate."""


@dataclass(frozen=True)
class ReachedExposure:
    """What candidates who had no part in finding the probabilities saw.

    Attributes
    ----------
    candidates
        Simulated.
    level_candidates
        ``(n_levels,)`` of them in each level.
    rates
        ``(n_levels, n_items)`` share of a level's candidates that saw an item.
    overall_rates
        ``(n_items,)`` share of all candidates; they sum to `mean_length`.
    mean_length
        Items of a test.
    mean_sd
        Mean posterior standard deviation of ability at the end.
    """

    candidates: int
    level_candidates: FloatArray
    rates: FloatArray
    overall_rates: FloatArray
    mean_length: float
    mean_sd: float

    @property
    def worst_rate(self) -> float:
        """The highest rate of any item at any level."""
        return float(self.rates.max())


@dataclass(frozen=True)
class ExposureControl:
    """Probabilities of being given, and what they were found to reach.

    Attributes
    ----------
    maximum_rate
        Asked for.
    probability
        ``(n_levels, n_items)``.
    cycles
        The search, one row per cycle.
    reached, uncontrolled
        By the same independent candidates, with the probabilities and without.
    """

    maximum_rate: float
    probability: FloatArray
    cycles: tuple[ControlledCycle, ...]
    reached: ReachedExposure
    uncontrolled: ReachedExposure

    @property
    def precision_lost(self) -> float:
        """Relative growth of the mean posterior standard deviation of ability."""
        return self.reached.mean_sd / self.uncontrolled.mean_sd - 1.0

    def is_reached(self, tolerance: float) -> bool:
        """Whether no item of any level is seen by more than the maximum rate and what is allowed.

        That is `tolerance` of the maximum, or what chance explains among the level's candidates if
        that is more. A level with too few candidates to tell is not reached.
        """
        counts = self.reached.level_candidates
        margin = chance_margin(self.maximum_rate, counts)
        allowed = self.maximum_rate + np.maximum(tolerance * self.maximum_rate, margin)
        is_below = self.reached.rates.max(axis=1) <= allowed
        return bool((is_below & is_judged(self.maximum_rate, counts)).all())


def control_exposure(
    test: AdaptiveTest,
    maximum_rate: float,
    method: SympsonHetter | ItemEligibility,
    generator: np.random.Generator,
    verifying_candidates: int = 100_000,
    tell: Tell = unheard,
) -> ExposureControl:
    """Find the probabilities of a test's items, and simulate independently what they reach.

    Parameters
    ----------
    test
        The test and who takes it.
    maximum_rate
        Share of the candidates, of each level if there are several, that may see an item.
    method
        How to search.
    generator
        The only source of randomness.
    verifying_candidates
        Of the last simulation, which decides what is said to be reached.
    tell
        Called after every cycle of the search, and after each of the two verifying simulations.

    Raises
    ------
    UnreachableRateError
        Rates sum to the test's length: so few items can't be below the maximum.
    """
    require_reachable(test, maximum_rate)
    aim: FloatArray | float = maximum_rate
    if isinstance(method, ItemEligibility):
        aim = _aims(test, maximum_rate, verifying_candidates, generator)
    probability, cycles = method.search(test, aim, generator, tell)
    seed = int(generator.integers(2**63))
    outcomes = []
    for each in (probability, None):
        outcomes.append(verify(test, each, np.random.default_rng(seed), verifying_candidates))
        tell()
    return ExposureControl(maximum_rate, probability, cycles, *outcomes)


def verify(
    test: AdaptiveTest,
    probability: FloatArray | None,
    generator: np.random.Generator,
    candidates: int,
) -> ReachedExposure:
    """Simulate what probabilities reach; see `ReachedExposure`."""
    abilities, sessions = test.simulate(candidates, probability, generator)
    seen, taken = test.seen(abilities, sessions), test.taken(abilities)
    return ReachedExposure(
        candidates,
        taken,
        shares_of(seen, taken),
        seen.sum(axis=0) / candidates,
        float(sessions.length.mean()),
        float(sessions.final_sd.mean()),
    )


def chance_margin(maximum_rate: float, candidates: FloatArray) -> FloatArray:
    """Give how far above the maximum chance may put the worst item's rate; infinite for nobody."""
    return _CHANCE * _standard_error(maximum_rate, candidates)


def is_judged(maximum_rate: float, candidates: FloatArray) -> BoolArray:
    """Whether so many candidates can tell a rate at the maximum from one well above it."""
    return chance_margin(maximum_rate, candidates) <= _MOST_CHANCE * maximum_rate


def _standard_error(rate: float, candidates: FloatArray) -> FloatArray:
    spread = float(np.sqrt(rate * (1.0 - rate)))
    counts = np.asarray(candidates, float)
    error = spread / np.sqrt(np.maximum(counts, 1.0))
    return np.where(counts > 0.0, error, np.inf)


def _aims(
    test: AdaptiveTest, maximum_rate: float, candidates: int, generator: np.random.Generator
) -> FloatArray:
    """Give the rates to search for, ``(n_levels, 1)``: lower where fewer candidates will judge."""
    abilities = test.draw_abilities(candidates, generator.spawn(1)[0])
    error = _standard_error(maximum_rate, test.taken(abilities))
    return np.maximum(maximum_rate - _SAFETY * error, _LOWEST_AIM * maximum_rate)[:, None]


def require_reachable(test: AdaptiveTest, maximum_rate: float) -> None:
    """Refuse a maximum that the length of the test makes impossible.

    Raises
    ------
    UnreachableRateError
        For the pool, or one of its content areas; or the pool has fewer items than a test.
    """
    if test.n_items < test.rule.answers:
        raise UnreachableRateError(
            f"a test of {test.rule.answers} items can't be drawn from {test.n_items}"
        )
    if not 0.0 < maximum_rate <= 1.0:
        raise ValueError(f"a maximum rate lies in (0, 1], not {maximum_rate:g}")
    answers = test.rule.least_answers if test.rule.enough_sd > 0.0 else test.rule.answers
    parts = [("the pool", float(answers), test.n_items)]
    if test.content is not None:
        sizes = np.bincount(test.content.of_item, minlength=len(test.content.shares))
        shares = zip(test.content.shares, sizes, strict=True)
        parts += [(f"content area {n}", answers * s, size) for n, (s, size) in enumerate(shares)]
    for name, wanted, size in parts:
        if wanted > maximum_rate * size * (1.0 + 1e-12):
            raise UnreachableRateError(
                f"{wanted:g} items of a test from the {size} of {name} are seen at a mean rate "
                f"of {wanted:g}/{size} = {wanted / max(size, 1):.3f}, above the maximum of "
                f"{maximum_rate:g}"
            )
