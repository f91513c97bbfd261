"""Exposure control of a published version: whose items, for whom, how, and what comes of it."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite
from statistics import NormalDist
from typing import Any

import numpy as np

from calibration_pipeline.irt.adaptive_test import AdaptiveTest
from calibration_pipeline.irt.configuration import require
from calibration_pipeline.irt.exposure_control import control_exposure
from calibration_pipeline.irt.exposure_methods import (
    ItemEligibility,
    SympsonHetter,
    Tell,
    unheard,
)
from calibration_pipeline.irt.simulation import SelectionRule
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.records import FloatArray, ItemKey, ScaleExposure, SnapshotItem

_FIRST_CYCLES, _MIDDLE_CYCLES, _LAST_CYCLES = 40, 30, 30
_FIRST_SHARE, _MIDDLE_SHARE = 0.1, 0.4
"""Of the candidates of a last cycle: rates are far off at first, and noise averages out later."""


@dataclass(frozen=True)
class ControlledPool:
    """The items of a scale that a test is drawn from, and who takes it.

    Attributes
    ----------
    scale
        Its name.
    keys, parameters
        One ``(item_id, content_version)`` and one row ``(n_items, 3)`` per item.
    scaling_constant
        D.
    mean, sd
        Of the candidates' abilities, which are normal.
    seed
        The same one finds the same probabilities.
    """

    scale: str
    keys: tuple[ItemKey, ...]
    parameters: FloatArray
    scaling_constant: float
    mean: float
    sd: float
    seed: int

    def __post_init__(self) -> None:
        """Refuse abilities that can't be drawn.

        Raises
        ------
        ValueError
            The mean or the spread is no number, or the spread isn't above 0.
        """
        require(isfinite(self.mean) and isfinite(self.sd), "mean and sd must be finite")
        require(self.sd > 0.0, "sd must be above 0")


def pools_of(
    items: Sequence[SnapshotItem],
    retired: Collection[ItemKey],
    population: Mapping[str, Mapping[str, float]],
    scaling_constant: float,
    content_digest: str,
) -> tuple[ControlledPool, ...]:
    """Give the pool of each scale of a published version.

    An engine gives an item in its newest wording, unless that is retired.

    Parameters
    ----------
    items
        Of the version.
    retired
        Items that no test gives any more.
    population
        Mean and sd by scale, as the version's manifest states them.
    scaling_constant, content_digest
        Of the version; the seed follows from the digest.
    """
    newest = {item.key[0]: item for item in sorted(items, key=lambda item: item.key)}
    given = [item for item in newest.values() if item.key not in retired]
    pools = []
    for scale in sorted({item.scale for item in given}):
        own = [item for item in given if item.scale == scale]
        known = population.get(scale, {"mean": 0.0, "sd": 1.0})
        pools.append(
            ControlledPool(
                scale,
                tuple(item.key for item in own),
                np.array([(i.discrimination, i.difficulty, i.guessing) for i in own]),
                scaling_constant,
                known["mean"],
                known["sd"],
                int(_digest([content_digest, scale])[:12], 16),
            )
        )
    return tuple(pools)


def stated_settings(
    pool: ControlledPool, exposure: ExposureConfiguration, maximum_rate: float
) -> dict[str, Any]:
    """State all that a control follows from besides the version: settings, candidates and pool."""
    stated = asdict(exposure) | {"cuts": list(exposure.cuts), "maximum_rate": maximum_rate}
    population = {"mean": pool.mean, "sd": pool.sd, "seed": pool.seed}
    return stated | population | {"pool": _digest([list(key) for key in pool.keys])}


def adaptive_test(pool: ControlledPool, exposure: ExposureConfiguration) -> AdaptiveTest:
    """Put a test together as the settings describe it."""
    rule = SelectionRule(
        exposure.answers,
        pool_share=1.0,
        top=exposure.top,
        is_weighted=exposure.is_weighted,
        least_answers=exposure.least_answers,
        enough_sd=exposure.enough_sd,
    )
    return AdaptiveTest(
        pool.parameters,
        rule,
        lambda n, generator: generator.normal(pool.mean, pool.sd, n),
        scaling_constant=pool.scaling_constant,
        cuts=exposure.cuts,
    )


def search_method(exposure: ExposureConfiguration) -> SympsonHetter | ItemEligibility:
    """Give the method of the settings.

    Raises
    ------
    ValueError
        It is 'off'.
    """
    last = exposure.candidates
    if exposure.method == "sympson-hetter":
        return SympsonHetter(
            exposure.iterations, last, exposure.damping, exposure.floor, exposure.ceiling
        )
    if exposure.method == "eligibility":
        return ItemEligibility(
            (round(_FIRST_SHARE * last),) * _FIRST_CYCLES
            + (round(_MIDDLE_SHARE * last),) * _MIDDLE_CYCLES
            + (last,) * _LAST_CYCLES
        )
    raise ValueError("exposure control is off")


def steps_of(exposure: ExposureConfiguration) -> int:
    """Count the simulations of a control, for a progress bar: those of the search, and two more."""
    method = search_method(exposure)
    cycles = method.cycles if isinstance(method, SympsonHetter) else len(method.candidates)
    return cycles + 2


def control_pool(
    pool: ControlledPool,
    exposure: ExposureConfiguration,
    maximum_rate: float,
    tell: Tell = unheard,
) -> ScaleExposure:
    """Find with what probability each item of a pool may be given.

    Parameters
    ----------
    pool
        The items, and who takes the test.
    exposure
        The test, and the method.
    maximum_rate
        Share of the candidates that may see an item.
    tell
        Called after each of the simulations that `steps_of` counts.

    Raises
    ------
    UnreachableRateError
        So few items can't give such tests below that rate.
    """
    test, method = adaptive_test(pool, exposure), search_method(exposure)
    found = control_exposure(
        test,
        maximum_rate,
        method,
        np.random.default_rng(pool.seed),
        exposure.verifying_candidates,
        tell,
    )
    reached, without = found.reached, found.uncontrolled
    return ScaleExposure(
        scale=pool.scale,
        method=exposure.method,
        maximum_rate=maximum_rate,
        settings=stated_settings(pool, exposure, maximum_rate),
        cuts=exposure.cuts,
        keys=pool.keys,
        probability=found.probability,
        rates=reached.rates,
        rates_without=without.rates,
        mean_length=reached.mean_length,
        mean_sd=reached.mean_sd,
        mean_sd_without=without.mean_sd,
        candidates=reached.candidates,
        cycles=len(found.cycles),
        is_reached=found.is_reached(exposure.tolerance),
    )


def expected_rates(control: ScaleExposure) -> FloatArray:
    """Share of all candidates that should see each item, ``(n_items,)``, over levels of ability."""
    return np.asarray(level_shares(control) @ control.rates)


def level_shares(control: ScaleExposure) -> FloatArray:
    """Share of the candidates that belongs to each level of ability, ``(n_levels,)``."""
    abilities = NormalDist(control.settings["mean"], control.settings["sd"])
    bounds = [0.0, *(abilities.cdf(cut) for cut in control.cuts), 1.0]
    return np.array([high - low for low, high in pairwise(bounds)])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
