"""Records with arbitrary content, for round trips through the store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    GroupPopulation,
    ItemDifference,
    ItemKey,
    ScaleExposure,
    ScaleLink,
    ScaleState,
    ScreeningCounts,
    SnapshotDraft,
    SnapshotItem,
)

NIGHT = date(2026, 3, 1)
GROUPS = (
    GroupPopulation("north, new", 0.1 + 0.2, 0.0, 1.0 / 3.0, 1200),
    GroupPopulation("süd, known start", -0.5, 0.7, 0.9, 300),
)
SCREENING = ScreeningCounts(
    sessions=1500,
    answers=30_000,
    short_sessions=12,
    omitted=40,
    not_reached=50,
    invalid=3,
    repeated_exposures=600,
    timed_items=9,
    rapid_guesses=150,
    judged_sessions=1000,
    aberrant_sessions=4,
    group_sessions=(1200, 300),
)
PASSED = (AuditFinding("finite", True, "all values are finite"),)


def state(
    partition: date = NIGHT, attempt: int = 1, n_items: int = 5, **changes: Any
) -> CalibrationState:
    rng = np.random.default_rng(7)
    infit = rng.normal(1.0, 0.1, n_items)
    infit[:1] = np.nan
    changed = np.random.default_rng(8)
    shift = changed.normal(size=n_items)
    shift[1:2] = np.nan
    carried_from = np.datetime64(partition, "D") - changed.integers(0, 400, n_items)
    carried_from[:1] = np.datetime64("NaT")
    example = CalibrationState(
        partition=partition,
        attempt=attempt,
        is_accepted=True,
        reasons=(),
        keys=tuple((f"i{k:05d}", 1 + k % 2) for k in range(n_items)),
        parameters=rng.normal(size=(n_items, 3)),
        covariance=rng.normal(size=(n_items, 3, 3)),
        prior_mean=rng.normal(size=(n_items, 3)),
        prior_precision=rng.normal(size=(n_items, 3)) * 1e-300,
        carried_information=rng.normal(size=(n_items, 3, 3)) * 1e17,
        carried_linear=rng.normal(size=(n_items, 3)),
        carried_shift=shift,
        carried_shift_se=np.abs(shift) / 3.0,
        is_contradicted=shift > 0.0,
        carried_from=carried_from,
        shadow_parameters=rng.normal(size=(n_items, 3)),
        window_counts=rng.integers(0, 1000, n_items),
        total_counts=rng.integers(0, 1000, n_items),
        infit=infit,
        outfit=rng.normal(1.0, 0.1, n_items),
        infit_se=rng.random(n_items),
        outfit_se=rng.random(n_items),
        is_anchor=rng.random(n_items) < 0.5,
        is_updated=rng.random(n_items) < 0.5,
        scales=(
            replace(
                ScaleState("zeta", True, "", 0.1, 1.1, 1.0, 0.0, -12.5, 9, True, 40, 900),
                groups=GROUPS,
                common_start=-0.1,
                screening=SCREENING,
                released_anchors=(("i2@1", "moved by +0.41 (z +4.6)"),),
            ),
            ScaleState("alpha", False, "1 item", 0.0, 1.0, 1.0, 0.0, np.nan, 0, False, 0, 0),
        ),
        folded_through=partition - timedelta(days=30),
        window=((partition - timedelta(days=1), 2, "aa"), (partition, 1, "bb")),
        folded=tuple((partition - timedelta(days=age), 3, f"d{age}") for age in (31, 30)),
        parent=None,
        anchor_set_id=None,
        bank_digest="bank",
        anchor_digest="anchors",
        configuration_digest="configuration",
        digest="state",
        differences=tuple(
            ItemDifference((f"i{k:05d}", 1 + k % 2), group, "north", *rng.normal(size=5).tolist())
            for k in range(n_items)
            for group in ("west", "süd")
        ),
    )
    return replace(example, **changes)


def snapshot_items(n_items: int = 4) -> tuple[SnapshotItem, ...]:
    rng = np.random.default_rng(11)
    return tuple(
        SnapshotItem(
            (f"i{k}", 1),
            "main",
            *rng.random(6).tolist(),
            tuple(rng.random(9).tolist()),
            "provisional",
            "fitted",
            30,
            31,
            "",
        )
        for k in range(n_items)
    )


def scale_exposure(keys: Sequence[ItemKey], **changes: Any) -> ScaleExposure:
    """Three levels of ability, unless `cuts` say otherwise; the values by level, then item."""
    cuts = changes.pop("cuts", (-0.5, 1.0 / 3.0))
    rng = np.random.default_rng(12)
    example = ScaleExposure(
        scale="main",
        method="eligibility",
        maximum_rate=0.2,
        settings={"answers": 10, "mean": 0.1, "sd": 1.0, "cuts": list(cuts), "seed": 7},
        cuts=cuts,
        keys=tuple(keys),
        probability=rng.random((len(cuts) + 1, len(keys))),
        rates=rng.random((len(cuts) + 1, len(keys))),
        rates_without=rng.random((len(cuts) + 1, len(keys))),
        mean_length=9.5,
        mean_sd=0.31,
        mean_sd_without=0.3,
        candidates=100_000,
        cycles=100,
        is_reached=True,
    )
    return replace(example, **changes)


def draft(run_id: str, **changes: Any) -> SnapshotDraft:
    example = SnapshotDraft(
        partition=NIGHT,
        attempt=1,
        parent_version=None,
        scaling_constant=1.702,
        window_start=NIGHT - timedelta(days=29),
        window_end=NIGHT,
        run_id=run_id,
        configuration={"window_days": 30},
        package_versions={"numpy": "2"},
        data_digest="data",
        links=(ScaleLink("main", "stocking-lord", 1.01, -0.02, 30, {"i3": "flagged"}, True),),
        population={"main": {"mean": 0.1, "sd": 1.0}},
    )
    return replace(example, **changes)
