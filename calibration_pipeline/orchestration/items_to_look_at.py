"""The ten items of a step that a person should look at, the clearest first."""

from collections.abc import Mapping, Sequence

import dagster as dg
import numpy as np

from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.link_reasons import TOO_FEW, kind_of
from calibration_pipeline.policy.publication import eligible_items
from calibration_pipeline.records import CalibrationState, ItemKey, ScaleLink, SnapshotItem


def of_misfits(state: CalibrationState, configuration: CalibrationConfiguration) -> Metadata:
    """Items whose answers fit the model worst, for the number of answers that they have."""
    rows = np.flatnonzero(eligible_items(state, configuration) & (state.infit_se > 0))
    z = (state.infit[rows] - 1.0) / state.infit_se[rows]
    worst = rows[np.argsort(-np.abs(z), kind="stable")][:ROWS]
    cells = [
        (item_name(state.keys[j]), int(state.window_counts[j]), f"{state.parameters[j, 1]:+.2f}",
         f"{state.infit[j]:.2f}", f"{state.outfit[j]:.2f}",
         f"{(state.infit[j] - 1.0) / state.infit_se[j]:+.1f}")
        for j in worst.tolist()
    ]  # fmt: skip
    heads = ("item", "answers", "b", "infit", "outfit", "z")
    return {"items to look at": dg.MetadataValue.md(table(heads, cells))}


def of_moved(items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem]) -> Metadata:
    """Items whose published difficulty moved most since the version before."""
    both = [(item, previous[item.key]) for item in items if item.key in previous]
    moved = [(new, old) for new, old in both if new.difficulty != old.difficulty]
    moved.sort(key=lambda pair: (-abs(pair[0].difficulty - pair[1].difficulty), pair[0].key))
    cells = [
        (item_name(new.key), f"{old.difficulty:+.2f}", f"{new.difficulty:+.2f}",
         f"{new.difficulty - old.difficulty:+.2f}", f"{new.difficulty_se:.2f}", new.total_count)
        for new, old in moved[:ROWS]
    ]  # fmt: skip
    largest = abs(moved[0][0].difficulty - moved[0][1].difficulty) if moved else 0.0
    return {
        "items whose difficulty changed": len(moved),
        "largest change of difficulty": round(largest, 4),
        "items that moved most": dg.MetadataValue.md(
            table(("item", "b before", "b", "change", "se", "answers"), cells)
        ),
    }


def of_left_out(links: Sequence[ScaleLink]) -> Metadata:
    """Anchors that did not hold still; those with too few answers come last."""
    left_out = [(why, name, link.scale) for link in links
                for name, why in link.anchors_left_out.items()]  # fmt: skip
    left_out.sort(key=lambda found: (kind_of(found[0]) == TOO_FEW, found[1]))
    cells = [(name, scale, why) for why, name, scale in left_out[:ROWS]]
    return {
        "anchors to look at": dg.MetadataValue.md(table(("anchor", "scale", "left out"), cells))
    }
