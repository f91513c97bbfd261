"""Exposure control of a night's version: found once, stored, and found again where it stands."""

from dataclasses import dataclass, field
from datetime import date

from calibration_pipeline.irt.exposure_control import UnreachableRateError
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposure_control import (
    ControlledPool,
    control_pool,
    pools_of,
    stated_settings,
)
from calibration_pipeline.policy.exposure_shortfall import explain_shortfall
from calibration_pipeline.records import ScaleExposure
from calibration_pipeline.store.calibration_store import CalibrationStore


@dataclass(frozen=True)
class NightExposure:
    """Exposure control of a night's version.

    Attributes
    ----------
    controls
        Of the scales that can be controlled.
    unreachable
        Scale → why its items can't be kept below the maximum.
    """

    controls: tuple[ScaleExposure, ...] = ()
    unreachable: dict[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What somebody has to look at; the version stands whatever it is."""
        missed = [
            f"exposure of the scale {control.scale} misses its maximum: "
            f"{explain_shortfall(control)}; the probabilities are stored and marked as not "
            "reaching it"
            for control in self.controls
            if not control.is_reached
        ]
        refused = [
            f"exposure of the scale {scale} is not controlled: {why}"
            for scale, why in self.unreachable.items()
        ]
        return missed + refused


def control_night(
    store: CalibrationStore, night: date, version: int, configuration: CalibrationConfiguration
) -> NightExposure:
    """Control the exposure of a version's items, scale by scale, unless that is done or off."""
    if configuration.exposure.method == "off":
        return NightExposure()
    manifest, bank = store.manifest_of(version), store.bank(night)
    items = store.items_of(version)
    pools = pools_of(
        items,
        {bank.keys[j] for j in bank.is_retired.nonzero()[0]},
        manifest.population,
        manifest.scaling_constant,
        manifest.content_digest,
    )
    empty = {item.scale for item in items} - {pool.scale for pool in pools}
    unreachable = dict.fromkeys(sorted(empty), "every item of it is retired")
    found = []
    standing = {control.scale: control for control in store.exposure_of(version)}
    for pool in pools:
        try:
            found.append(_control(store, night, version, pool, standing, configuration))
        except UnreachableRateError as error:
            unreachable[pool.scale] = f"{error}; raise maximum_exposure_rate, or give shorter tests"
    return NightExposure(tuple(found), unreachable)


def _control(
    store: CalibrationStore,
    night: date,
    version: int,
    pool: ControlledPool,
    standing: dict[str, ScaleExposure],
    configuration: CalibrationConfiguration,
) -> ScaleExposure:
    """Give what the version has for the same settings; otherwise find and store it."""
    exposure, maximum = configuration.exposure, configuration.maximum_exposure_rate
    own = standing.get(pool.scale)
    if own is not None and own.settings == stated_settings(pool, exposure, maximum):
        return own
    control = control_pool(pool, exposure, maximum)
    store.write_exposure(night, version, control)
    return control
