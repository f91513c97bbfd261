"""The pool in force and what stands for it, as the contract's routes need them."""

from collections import Counter
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from calibration_pipeline.interfaces.api.exposure_contract_work import ExposureTask
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.policy.exposure_control import ControlledPool, pools_of
from calibration_pipeline.records import FloatArray, ItemKey, ScaleExposure
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.archive_opening import open_archive
from calibration_pipeline.store.bank import read_bank
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.exposure import read_exposure
from calibration_pipeline.store.flag_decisions import read_retirements
from calibration_pipeline.store.published import find_version
from calibration_pipeline.store.revisions import newest_revisions, read_day
from calibration_pipeline.store.snapshots import read_manifest, read_snapshot_items

RECENT_DAYS = 7
VERIFYING_CANDIDATES = 20_000
"""Of the simulation that says what is reached: rates to .003, in the time a caller waits."""
_FIELDS = {field.name for field in fields(ExposureConfiguration)}


@dataclass(frozen=True)
class PoolInForce:
    """The items of the version in force that may be given, and what stands for them.

    Attributes
    ----------
    version
        Its number.
    pools
        Scale → its items and candidates.
    controls
        Scale → the newest exposure control, where there is one.
    """

    version: int
    pools: dict[str, ControlledPool]
    controls: dict[str, ScaleExposure]

    def probability(self, scale: str) -> FloatArray:
        """Give the probability of each of a pool's items, ``(n_levels, n_items)``; 1 at first."""
        keys, control = self.pools[scale].keys, self.controls.get(scale)
        if control is None:
            return np.ones((1, len(keys)))
        place = {key: j for j, key in enumerate(control.keys)}
        found = np.ones((len(control.probability), len(keys)))
        for j, key in enumerate(keys):
            if key in place:
                found[:, j] = control.probability[:, place[key]]
        return found

    def standing_task(self, scale: str, policy: CalibrationConfiguration) -> ExposureTask:
        """Give the test that the pool's control holds for; the programme's own without one."""
        pool, control = self.pools[scale], self.controls.get(scale)
        if control is None:
            method = policy.exposure.method
            exposure = replace(
                policy.exposure,
                method="eligibility" if method == "off" else method,
                cuts=(),
                verifying_candidates=VERIFYING_CANDIDATES,
            )
            exposure = _shortened(exposure, len(pool.keys))
            return ExposureTask(pool, exposure, policy.maximum_exposure_rate or 1.0)
        stated = control.settings
        known = {name: stated[name] for name in _FIELDS & stated.keys()}
        known |= {
            "method": control.method,
            "cuts": control.cuts,
            "verifying_candidates": VERIFYING_CANDIDATES,
        }
        return ExposureTask(
            replace(pool, mean=stated["mean"], sd=stated["sd"], seed=stated["seed"]),
            _shortened(ExposureConfiguration(**known), len(pool.keys)),
            control.maximum_rate,
            stated.get("theta_dist", ""),
        )

    def set_by_hand(self, scale: str) -> dict[str, float]:
        """Give the items whose probability was set by hand since the last search."""
        control = self.controls.get(scale)
        return {} if control is None else dict(control.settings.get("set_by_hand", {}))

    def scale_of(self, key: ItemKey) -> str | None:
        """Name the scale of an item; None if the pool lacks it."""
        return next((name for name, pool in self.pools.items() if key in pool.keys), None)


def _shortened(exposure: ExposureConfiguration, n_items: int) -> ExposureConfiguration:
    """Give tests no more items than the pool has, which may be small, or have shrunk since."""
    answers = min(exposure.answers, n_items)
    return replace(exposure, answers=answers, least_answers=min(exposure.least_answers, answers))


def pool_in_force(database: Database) -> PoolInForce:
    """Read it.

    Raises
    ------
    NothingPublishedError
        There is no version yet.
    """
    version = find_version(database)
    manifest = read_manifest(database, version)
    pools = pools_of(
        read_snapshot_items(database, version),
        read_retirements(database, date.max),
        manifest.population,
        manifest.scaling_constant,
        manifest.content_digest,
    )
    return PoolInForce(
        version,
        {pool.scale: pool for pool in pools},
        {control.scale: control for control in read_exposure(database, version)},
    )


def content_families(database: Database) -> dict[ItemKey, str]:
    """Give the content family of each item that has one."""
    bank = read_bank(database, date.max)
    return {k: family for k, family in zip(bank.keys, bank.content_families, strict=True) if family}


def recent_answers(
    database: Database, settings: Settings, today: date | None = None
) -> Counter[ItemKey]:
    """Count the archived answers of today and the last `RECENT_DAYS` days, by item.

    Parameters
    ----------
    today
        The local day; that of the clock if None.
    """
    last = today or datetime.now(ZoneInfo(settings.timezone)).date()
    days = [last - timedelta(days=n) for n in range(RECENT_DAYS + 1)]
    archive = open_archive(settings.archive_place)
    counts: Counter[ItemKey] = Counter()
    for day in newest_revisions(database, days):
        found = read_day(database, archive, day)
        by_item = np.bincount(found.item, minlength=len(found.keys)).tolist()
        counts.update(dict(zip(found.keys, by_item, strict=True)))
    return counts
