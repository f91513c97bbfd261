"""What a selection of anchors reads: of flags those that accepted nights hold against an item."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.orchestration.anchor_proposals import read_anchor_evidence
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import Flag, FlagEpisode
from calibration_pipeline.store import results, states
from calibration_pipeline.store.bank import import_bank, read_bank
from calibration_pipeline.store.flag_decisions import record_decisions
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import FIRST_DAY
from calibration_pipeline_tests.store.conftest import (
    bank_csv,
    engine,
    migrated_template,
    migrated_url,
    run_id,
)

__all__ = ["bank_csv", "engine", "migrated_template", "migrated_url", "run_id"]

SETTINGS = CalibrationConfiguration()
NEWEST = FIRST_DAY + timedelta(days=SETTINGS.anchors.stable_days)
DAY = timedelta(days=1)


def drift(item: str, reason: str = "reference_drift", is_credible: bool = True) -> Flag:
    return Flag((item, 1), reason, 0.9, 0.5, 0.15, 4.2, is_credible, "harder", "all answers")


def test_flags_of_accepted_nights_count_until_a_reviewer_dismisses_them(
    engine: sa.Engine, run_id: str, bank_csv: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    bank = read_bank(engine, FIRST_DAY)
    state = make_state(bank, np.tile([1.0, 0.5, 0.2], (bank.n_items, 1)))
    nights = [
        (FIRST_DAY - DAY, 1, True, [drift("i2")]),  # longer ago than an anchor must be stable
        (NEWEST - DAY, 1, True, [drift("i3")]),  # run again since
        (
            NEWEST - DAY,
            2,
            True,
            [drift("i1"), drift("i1", "differential_functioning"), drift("i2")],
        ),
        (NEWEST, 1, True, [drift("i1", "anchor_drift"), drift("i2", "difficulty_drift")]),
        (NEWEST, 2, False, [drift("i3")]),  # rejected: the try before counts
    ]
    for night, attempt, is_accepted, flags in nights:
        tried = replace(state, partition=night, attempt=attempt, is_accepted=is_accepted)
        states.write_state(engine, tried, run_id)
        results.write_flags(engine, night, attempt, run_id, flags)
    assert read_anchor_evidence(engine, SETTINGS).flags == {
        ("i1", 1): [(NEWEST - DAY, "reference_drift"), (NEWEST, "anchor_drift")],
        ("i2", 1): [(NEWEST - DAY, "reference_drift"), (NEWEST, "difficulty_drift")],
    }
    episode = FlagEpisode(("i2", 1), "reference_drift", ((NEWEST - DAY, drift("i2")),))
    record_decisions(
        engine, [episode], "dismiss", night=NEWEST, reason="a display fault", decided_by="me"
    )
    found = read_anchor_evidence(engine, SETTINGS).flags
    assert found["i2", 1] == [(NEWEST, "difficulty_drift")]
    assert len(found["i1", 1]) == 2
