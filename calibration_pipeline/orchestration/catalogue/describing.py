"""Put the catalogue's entries onto the assets."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import dagster as dg

from calibration_pipeline.orchestration.catalogue.columns import lineage_of, schema_of
from calibration_pipeline.orchestration.catalogue.entries import ENTRIES, Entry
from calibration_pipeline.policy.overdue import Deadlines


def described(
    assets: Iterable[dg.AssetsDefinition], deadlines: Deadlines
) -> list[dg.AssetsDefinition]:
    """Give every asset its owners, tags, columns, lineage of columns and freshness policy.

    Raises
    ------
    KeyError
        An asset has no entry: write one in `entries.ENTRIES`.
    """
    nightly = freshness_policy(deadlines)

    def describe(spec: dg.AssetSpec) -> dg.AssetSpec:
        entry = ENTRIES[spec.key.to_user_string()]
        return spec.replace_attributes(
            description=f"{spec.description}\n\n**Look at:** {entry.look_at}",
            owners=list(entry.owners),
            tags={**spec.tags, "holds": entry.holds, "read_by": entry.read_by},
            metadata={**spec.metadata, **_metadata(entry)},
            freshness_policy=nightly if entry.is_nightly else None,
        )

    return [asset.map_asset_specs(describe) for asset in assets]


def freshness_policy(deadlines: Deadlines) -> dg.FreshnessPolicy:
    """Expect a materialization between the nightly run's hour and the deadline of alerts.

    It tells when the asset was last written, whichever night that was and whether it was accepted;
    alerts tell of those (`alert_sensors`).
    """
    hours = (deadlines.deadline_hour - deadlines.run_hour) % 24 or 24
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"0 {deadlines.deadline_hour} * * *",
        lower_bound_delta=timedelta(hours=hours),
        timezone=deadlines.timezone.key,
    )


def _metadata(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if entry.table:
        shown["dagster/table_name"] = entry.table
    if entry.columns:
        shown["dagster/column_schema"] = schema_of(entry.columns)
    if (lineage := lineage_of(entry.columns)) is not None:
        shown["dagster/column_lineage"] = lineage
    return shown
