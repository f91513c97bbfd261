"""Suspected leaks and expected delays from the command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.records import LeakVerdicts
from calibration_pipeline.store import results, states
from calibration_pipeline.store.bank import import_bank, read_bank
from calibration_pipeline.store.leak_verdicts import write_leak_verdicts
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import FIRST_DAY
from calibration_pipeline_tests.store.conftest import bank_csv

__all__ = ["bank_csv"]


@pytest.fixture
def watched(engine: sa.Engine, run_id: str, bank_csv: Path) -> sa.Engine:
    """One night: the first item is suspected, the last isn't watched, the others are protected."""
    import_bank(engine, bank_csv, "3PL")
    bank = read_bank(engine, FIRST_DAY)
    n = bank.n_items
    state = replace(make_state(bank, np.tile([1.0, 0.5, 0.2], (n, 1))), partition=FIRST_DAY)
    states.write_state(engine, state, run_id)
    results.write_flags(engine, FIRST_DAY, 1, run_id, ())
    is_first, is_last = np.arange(n) == 0, np.arange(n) == n - 1
    none = np.full(n, "NaT", "datetime64[D]")
    verdicts = LeakVerdicts(
        is_suspected=is_first,
        alarm_item=np.where(is_first, 0, -1),
        alarm_day=np.where(is_first, np.datetime64("2025-12-31"), none),
        onset_day=np.where(is_first, np.datetime64("2025-12-30"), none),
        statistic=np.where(is_first, 14.5, 0.0),
        threshold=np.where(is_last, np.inf, 12.0),
        share=np.full(n, 0.6),
        answers_since_onset=np.where(is_first, 40, 0),
        answers_per_day=np.full(n, 20.0),
        is_watched=~is_last,
        uses_times=~is_last,
        delay_answers=np.where(is_last, np.inf, 60.0),
        delay_days=np.where(is_last, np.inf, 3.0),
    )
    write_leak_verdicts(engine, FIRST_DAY, 1, run_id, state.keys, verdicts)
    return engine


def test_suspected_items_and_protection_are_shown(
    on_database: Calibrate, watched: sa.Engine
) -> None:
    shown = json.loads(on_database("leaks", "--json").stdout)
    first, *_, last = shown["items"]
    assert (first["is_left_out"], first["onset_day"], first["delay_days"]) == (
        True,
        "2025-12-30",
        3.0,
    )
    assert (last["is_watched"], last["delay_days"], last["threshold"]) == (False, None, None)
    assert shown["protection"]["within 7 nights"] == len(shown["items"]) - 1
    assert shown["protection"]["not watched"] == 1
    table = on_database("leaks").stdout
    for part in ("Left out from", "2025-12-30", "50% of an item's candidates", "Least protected"):
        assert part in table


def test_one_item_is_shown_alone(on_database: Calibrate, watched: sa.Engine) -> None:
    item = json.loads(on_database("leaks", "--json").stdout)["items"][0]["item_id"]
    shown = json.loads(on_database("leaks", item, "--json").stdout)
    assert (shown["item_id"], shown["statistic"], shown["alarm_of"]) == (item, 14.5, item)
    assert shown["night"] == str(FIRST_DAY)
    assert "2025-12-30" in on_database("leaks", item).stdout
    unknown = on_database("leaks", "nobody")
    assert unknown.exit_code == 2
    assert "no item 'nobody'" in unknown.stderr


def test_before_the_first_night_there_is_nothing_to_show(on_database: Calibrate) -> None:
    result = on_database("leaks")
    assert result.exit_code == 0
    assert "calibrate night" in result.stderr
    assert json.loads(on_database("leaks", "--json").stdout)["items"] == []
