"""What the Dagster UI shows of the leak watch: how well items are protected, who is suspected."""

import dagster as dg
import numpy as np

from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.leak_protection import protection
from calibration_pipeline.records import ItemKey, LeakVerdicts


def of_leaks(verdicts: LeakVerdicts, keys: tuple[ItemKey, ...]) -> Metadata:
    """Counts that plot, and the suspected items, the newest alarms first."""
    own = np.flatnonzero(verdicts.alarm_item == np.arange(len(keys)))
    newest = own[np.argsort(verdicts.alarm_day[own], kind="stable")[::-1]][:ROWS]
    delays = verdicts.delay_days[verdicts.is_watched]
    median = float(np.median(delays)) if len(delays) else np.inf
    shown: dict[str, dg.MetadataValue | str | int | float] = {
        "items suspected to have leaked": len(own),
        "items watched for leaks": int(verdicts.is_watched.sum()),
        "expected delay of a leak's alarm": dg.MetadataValue.md(
            table(("a leak would be found", "items"), list(protection(verdicts).items()))
        ),
        "suspected leaks": dg.MetadataValue.md(
            table(
                ("item", "alarm", "left out from", "log Λ", "threshold"),
                [
                    (item_name(keys[j]), verdicts.alarm_day[j], verdicts.onset_day[j],
                     f"{verdicts.statistic[j]:.1f}", f"{verdicts.threshold[j]:.1f}")
                    for j in newest.tolist()
                ],
            )
        ),
    }  # fmt: skip
    if np.isfinite(median):
        shown["median nights until a leak is found"] = round(median, 1)
    return shown
