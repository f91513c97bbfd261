"""A pool with three calibrated nights, far enough apart that anchors can be selected."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline.store.bank import import_bank, read_bank
from calibration_pipeline.store.runs import close_run, open_run
from calibration_pipeline.store.states import write_state
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import draw_items

NIGHT = date(2026, 6, 1)
NEXT_NIGHT = NIGHT + timedelta(days=1)
NIGHTS = tuple(NIGHT - timedelta(days=ago) for ago in (90, 42, 0))
ITEMS, ANCHORS = 60, 6
MOVED = "i0040"
HEADER = "item_id,discrimination,difficulty,guessing,is_anchor,content_family"


def truth() -> np.ndarray:
    return draw_items(ITEMS, np.random.default_rng(4))


def write_bank(path: Path) -> Path:
    """Write a bank whose first items are anchors, in three families."""
    rows = [
        f"i{j:04d},{a!r},{b!r},{c!r},{'true' if j < ANCHORS else 'false'},f{j % 3}"
        for j, (a, b, c) in enumerate(truth().tolist())
    ]
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def state_on(engine: sa.Engine, night: date, moved: float = 0.0) -> CalibrationState:
    """Give the pool's state on a night under the anchors in force; one item may have moved."""
    bank, anchors = read_bank(engine, night), read_anchor_set(engine, night)
    is_anchor = np.isin(np.arange(ITEMS), bank.positions(anchors.keys))
    parameters = truth()
    parameters[[key[0] for key in bank.keys].index(MOVED), 1] += moved
    state = make_state(bank, parameters, is_anchor=is_anchor, difficulty_se=0.08)
    shadow = state.shadow_parameters.copy()
    shadow[is_anchor, 1] += 0.03
    return replace(
        state,
        partition=night,
        total_counts=np.full(ITEMS, 2000, np.int64),
        shadow_parameters=shadow,
        anchor_set_id=anchors.anchor_set_id,
        anchor_digest=anchors.digest,
    )


def load(engine: sa.Engine, folder: Path) -> None:
    """Import the pool and store its nights; on the last one an item has moved by a lot."""
    import_bank(engine, write_bank(folder / "bank.csv"), "3PL")
    for night in NIGHTS:
        store_night(engine, state_on(engine, night, moved=1.0 if night == NIGHT else 0.0))


def store_night(engine: sa.Engine, state: CalibrationState) -> None:
    """Store a state under a run that has ended."""
    run_id = open_run(
        engine,
        partition=state.partition,
        triggered_by="a test",
        configuration={},
        package_versions={},
    )
    write_state(engine, state, run_id)
    close_run(engine, run_id, "completed", counts={}, timings={})
