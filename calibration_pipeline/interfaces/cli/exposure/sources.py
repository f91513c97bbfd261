"""Where the items come from, a file or a published version; and what is stored for a version."""

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.policy.exposure_control import ControlledPool
    from calibration_pipeline.records import ScaleExposure


@dataclass(frozen=True)
class ExposureSource:
    """Items, and who takes tests of them.

    Attributes
    ----------
    pool
        The items and the candidates.
    version
        Published version that the items are of; None for a file.
    standing
        What that version has already.
    """

    pool: "ControlledPool"
    version: int | None = None
    standing: "ScaleExposure | None" = None


def file_source(options: dict[str, Any]) -> ExposureSource:
    """Read a file of items; those without known parameters are passed over."""
    # Here, and not above: NumPy and PyArrow take longer to import than `--help` may.
    import numpy as np

    from calibration_pipeline.policy.exposure_control import ControlledPool
    from calibration_pipeline.store.item_table import read_item_table

    for name in ("version", "scale"):
        if options[name] is not None:
            raise BadInputError(f"--{name} is of published versions: leave it out with --items")
    table = read_item_table(options["items"])
    known = np.flatnonzero(np.isfinite(table.parameters).all(axis=1))
    pool = ControlledPool(
        scale="main",
        keys=tuple((table.item_ids[j], 1) for j in known),
        parameters=table.parameters[known],
        scaling_constant=options["scaling_constant"] or load_settings().policy.em.scaling_constant,
        mean=0.0,
        sd=1.0,
        seed=0,
    )
    return ExposureSource(_told(pool, options))


def version_source(options: dict[str, Any]) -> ExposureSource:
    """Read the items of one scale of a published version, without those that are retired."""
    from calibration_pipeline.policy.exposure_control import pools_of
    from calibration_pipeline.store.exposure import read_exposure
    from calibration_pipeline.store.flag_decisions import read_retirements
    from calibration_pipeline.store.published import find_version
    from calibration_pipeline.store.snapshots import read_manifest, read_snapshot_items

    if options["scaling_constant"] is not None:
        raise BadInputError("a version states its own D: leave --scaling-constant out")
    with configured_database(create=False) as database:
        version = options["version"] or find_version(database)
        manifest = read_manifest(database, version)
        pools = pools_of(
            read_snapshot_items(database, version),
            read_retirements(database, date.max),
            manifest.population,
            manifest.scaling_constant,
            manifest.content_digest,
        )
        standing = {control.scale: control for control in read_exposure(database, version)}
    by_scale = {pool.scale: pool for pool in pools}
    if not by_scale:
        raise BadInputError(
            f"every item of version {version} is retired, so no test can be drawn from it: "
            "re-open items, or name another --version"
        )
    scale = options["scale"] or min(by_scale, default=None)
    if scale not in by_scale or (options["scale"] is None and len(by_scale) > 1):
        raise BadInputError(
            f"version {version} has the scales {', '.join(by_scale)}: name one with --scale"
        )
    return ExposureSource(_told(by_scale[scale], options), version, standing.get(scale))


def _told(pool: "ControlledPool", options: dict[str, Any]) -> "ControlledPool":
    """Put the candidates and the seed of the options in place of the pool's own."""
    named = {name: options[name] for name in ("mean", "sd", "seed")}
    return replace(pool, **{name: value for name, value in named.items() if value is not None})


def standing_control(
    source: ExposureSource, configuration: ExposureConfiguration, rate: float
) -> "ScaleExposure | None":
    """Give what the version has, if the same settings found it and it was reached."""
    from calibration_pipeline.policy.exposure_control import stated_settings

    own = source.standing
    if own is None or not own.is_reached:
        return None
    return own if own.settings == stated_settings(source.pool, configuration, rate) else None


def store_control(version: int, control: "ScaleExposure") -> int:
    """Store a control for a version; give the number of the attempt."""
    from calibration_pipeline.store.exposure import write_exposure

    with configured_database(create=False) as database:
        return write_exposure(database, version, control, found_by=operator_name())
