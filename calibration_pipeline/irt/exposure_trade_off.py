"""What keeping items from being seen costs: information lost, by maximum rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.adaptive_test import AdaptiveTest
from calibration_pipeline.irt.exposure_control import (
    ReachedExposure,
    UnreachableRateError,
    require_reachable,
    verify,
)
from calibration_pipeline.irt.exposure_methods import ItemEligibility, Tell, unheard
from calibration_pipeline.irt.model import FloatArray

MAXIMA = (0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
SHORT_SEARCH = ItemEligibility((500,) * 20 + (1000,) * 20)
"""A search that comes within a few per cent of each maximum, far nearer than a chart shows."""


@dataclass(frozen=True)
class TradeOff:
    """What a maximum rate costs.

    Attributes
    ----------
    maximum_rate
        Asked for.
    worst_rate
        Reached.
    information_lost
        Share of the information on ability at the end of a test (1 / variance, the prior's
        included) that it has less than without control.
    """

    maximum_rate: float
    worst_rate: float
    information_lost: float


def trade_offs(
    test: AdaptiveTest,
    generator: np.random.Generator,
    maxima: Sequence[float] = MAXIMA,
    candidates: int = 10_000,
    tell: Tell = unheard,
) -> tuple[TradeOff, ...]:
    """Control one test by several maximum rates, with the item-eligibility method.

    Parameters
    ----------
    test
        The test and who takes it.
    generator
        The only source of randomness.
    maxima
        Those that the test makes impossible are left out.
    candidates
        Of the simulations that judge; the same ones for every maximum.
    tell
        Called after each maximum.
    """
    seed = int(generator.integers(2**63))

    def judged(probability: FloatArray | None) -> ReachedExposure:
        return verify(test, probability, np.random.default_rng(seed), candidates)

    without = judged(None)
    found = []
    for maximum in maxima:
        try:
            require_reachable(test, maximum)
        except UnreachableRateError:
            continue
        probability, _ = SHORT_SEARCH.search(test, maximum, generator)
        # Where nothing is held back the same candidates get the same items, and lose nothing.
        reached = judged(probability) if (probability < 1.0).any() else without
        lost = 1.0 - (without.mean_sd / reached.mean_sd) ** 2
        found.append(TradeOff(maximum, reached.worst_rate, lost))
        tell()
    return tuple(found)
