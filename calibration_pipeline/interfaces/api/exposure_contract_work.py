"""Exposure control as the contract describes it: runs in a worker process.

The search and the simulations are those of `calibrate exposure`; the contract adds who takes the
test, and probabilities that are set by hand.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.irt.adaptive_test import AdaptiveTest, DrawAbilities
from calibration_pipeline.irt.exposure_control import (
    ExposureControl,
    UnreachableRateError,
    control_exposure,
    verify,
)
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.policy.exposure_control import (
    ControlledPool,
    adaptive_test,
    search_method,
    stated_settings,
)
from calibration_pipeline.records import FloatArray, ItemKey, ScaleExposure

_USUAL_ABILITIES = {"normal": "0,1", "uniform": "-1,1", "fixed": "0"}


@dataclass(frozen=True)
class ExposureTask:
    """A pool, the test that is given from it, and who takes it.

    Attributes
    ----------
    pool, exposure, maximum_rate
        As for `calibrate exposure`.
    theta_dist
        Who takes the test, as callers write it; empty for the pool's own candidates.
    """

    pool: ControlledPool
    exposure: ExposureConfiguration
    maximum_rate: float
    theta_dist: str = ""

    def test(self) -> AdaptiveTest:
        """Put the test together."""
        test = adaptive_test(self.pool, self.exposure)
        if not self.theta_dist:
            return test
        return replace(test, draw_abilities=abilities_of(self.theta_dist))

    def settings(self) -> dict[str, Any]:
        """State all that the result follows from."""
        stated = stated_settings(self.pool, self.exposure, self.maximum_rate)
        return stated | ({"theta_dist": self.theta_dist} if self.theta_dist else {})


def abilities_of(theta_dist: str) -> DrawAbilities:
    """Give who takes the test, from how callers write it.

    Raises
    ------
    BadInputError
        A spread is negative, or the ends of a range are the wrong way round.
    """
    kind = theta_dist.rstrip("0123456789.,-")
    stated = theta_dist.removeprefix(kind) or _USUAL_ABILITIES[kind]
    numbers = [float(number) for number in stated.split(",")]
    if kind == "fixed":
        return lambda n, _generator: np.full(n, numbers[0])
    first, second = numbers
    if kind == "normal":
        if second < 0.0:
            raise BadInputError("theta_dist: a standard deviation is 0 or more")
        return lambda n, generator: generator.normal(first, second, n)
    if second < first:
        raise BadInputError("theta_dist: give the lower end of the range first")
    return lambda n, generator: generator.uniform(first, second, n)


def search(task: ExposureTask) -> ScaleExposure:
    """Find the probabilities of a pool's items.

    Raises
    ------
    BadInputError
        So few items can't give such tests below that rate.
    """
    try:
        found = control_exposure(
            task.test(),
            task.maximum_rate,
            search_method(task.exposure),
            np.random.default_rng(task.pool.seed),
            task.exposure.verifying_candidates,
        )
    except UnreachableRateError as error:
        raise BadInputError(f"{error}: allow a higher tau or a lower test_len") from None
    return _stated(task, found, task.settings())


def set_by_hand(
    task: ExposureTask, probability: FloatArray, key: ItemKey, value: float, earlier: dict[str, Any]
) -> ScaleExposure:
    """Set one item's probability, and simulate what all of them reach then.

    Parameters
    ----------
    probability
        ``(n_levels, n_items)`` as it stands.
    key, value
        The item, and its new probability at every level.
    earlier
        Items that were set by hand before, and stay so: item → probability.
    """
    changed = probability.copy()
    changed[:, task.pool.keys.index(key)] = value
    test, candidates = task.test(), task.exposure.verifying_candidates
    reached, without = (
        verify(test, each, np.random.default_rng(task.pool.seed), candidates)
        for each in (changed, None)
    )
    settings = task.settings() | {"set_by_hand": {**earlier, f"{key[0]}@{key[1]}": value}}
    found = ExposureControl(task.maximum_rate, changed, (), reached, without)
    return _stated(task, found, settings)


def _stated(task: ExposureTask, found: ExposureControl, settings: dict[str, Any]) -> ScaleExposure:
    return ScaleExposure(
        scale=task.pool.scale,
        method=task.exposure.method,
        maximum_rate=task.maximum_rate,
        settings=settings,
        cuts=task.exposure.cuts,
        keys=task.pool.keys,
        probability=found.probability,
        rates=found.reached.rates,
        rates_without=found.uncontrolled.rates,
        mean_length=found.reached.mean_length,
        mean_sd=found.reached.mean_sd,
        mean_sd_without=found.uncontrolled.mean_sd,
        candidates=found.reached.candidates,
        cycles=len(found.cycles),
        is_reached=found.is_reached(task.exposure.tolerance),
    )
