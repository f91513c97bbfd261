"""Small charts of a night, which the Dagster UI shows in place."""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg
import numpy as np

from calibration_pipeline.irt.model import fisher_information
from calibration_pipeline.orchestration.metadata import Metadata
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.publication import eligible_items
from calibration_pipeline.records import (
    CalibrationState,
    CandidateAbilities,
    ColdStartItem,
    DayRevision,
    Flag,
    FloatArray,
    ItemKey,
    SnapshotItem,
)
from calibration_pipeline.reports.inline_charts import bars, curve, histogram

_ABILITIES = np.linspace(-4.0, 4.0, 33)


def plot_days(days: Sequence[date], archived: Mapping[date, DayRevision]) -> Metadata:
    """Answers of each day of the window: a gap is a day without any."""
    counts = [archived[day].response_count if day in archived else 0 for day in days]
    ends = (f"{days[0]:%d %b}", f"{days[-1]:%d %b}")
    return {"plot: answers by day": dg.MetadataValue.md(bars(counts, ends, "answers"))}


def plot_fits(state: CalibrationState, configuration: CalibrationConfiguration) -> Metadata:
    """Difficulties of the items that were refitted, and how well each is known."""
    rows = eligible_items(state, configuration)
    errors = np.sqrt(state.covariance[rows, 1, 1])
    return {
        "plot: difficulties": _md(histogram(state.parameters[rows, 1], "difficulty")),
        "plot: errors of difficulty": _md(histogram(errors, "its standard error", 2)),
    }


def plot_flags(flags: Sequence[Flag]) -> Metadata:
    """How far beyond chance the night's flags are."""
    return {"plot: z of flags": _md(histogram(np.array([f.z for f in flags]), "z"))}


def plot_anchors(state: CalibrationState) -> Metadata:
    """What the anchors' own answers say of their difficulty, less their reference."""
    held = state.is_anchor & (state.window_counts > 0)
    moved = (state.shadow_parameters - state.parameters)[held, 1]
    return {"plot: anchors": _md(histogram(moved, "difficulty less reference", 2))}


def plot_version(
    items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem], scaling: float
) -> Metadata:
    """What a version can measure, and what changed since the one before."""
    changes = [item.difficulty - previous[item.key].difficulty
               for item in items if item.key in previous]  # fmt: skip
    moved = np.array([change for change in changes if change])
    return {
        "plot: test information": _md(
            curve(_ABILITIES, information(items, scaling), "information of the pool by ability")
        ),
        "plot: changes": _md(histogram(moved, "change of difficulty", 2)),
    }


def information(items: Sequence[SnapshotItem], scaling: float) -> FloatArray:
    """Fisher information of all items together at abilities from −4 to 4, ``(33,)``."""
    parameters = np.array([(i.discrimination, i.difficulty, i.guessing) for i in items])
    return np.asarray(fisher_information(_ABILITIES, parameters, scaling).sum(axis=0))


def plot_abilities(found: CandidateAbilities) -> Metadata:
    """Abilities of the day's sessions."""
    return {"plot: abilities": _md(histogram(found.theta, "ability"))}


def plot_exposure(rates: FloatArray) -> Metadata:
    """How evenly the pool is seen."""
    return {"plot: exposure": _md(histogram(100.0 * rates, "% of sessions that saw an item"))}


def plot_cold_start(items: Sequence[ColdStartItem]) -> Metadata:
    """How far new items are from being known."""
    needed = np.array([item.answers_needed for item in items if item.answers_needed], float)
    return {"plot: answers needed": _md(histogram(needed, "further answers needed", 0))}


def _md(text: str) -> dg.MetadataValue[str]:
    return dg.MetadataValue.md(text)
