"""Leak watches and verdicts in the database: bit by bit, append-only."""

from dataclasses import fields, replace

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.records import LeakVerdicts, LeakWatch
from calibration_pipeline.store import states
from calibration_pipeline.store.leak_verdicts import read_leak_verdicts, write_leak_verdicts
from calibration_pipeline.store.leak_watches import read_leak_watch
from calibration_pipeline_tests.store.examples import NIGHT, state


def _watch(n_items: int) -> LeakWatch:
    """Two shares and five nodes; the first item's first detector runs, the second has an alarm."""
    generator = np.random.default_rng(1)
    shape = (n_items, 2)
    runs = np.zeros(shape, bool)
    runs[0, 0] = runs[1, 1] = True
    days = np.full(shape, "NaT", "datetime64[D]")
    days[runs] = np.datetime64("2026-03-01")
    none = np.full(n_items, "NaT", "datetime64[D]")
    alarm_day, left_out = none.copy(), none.copy()
    alarm_day[1], left_out[1] = np.datetime64("2026-03-02"), np.datetime64("2026-03-01")

    def values(*inner: int, at_zero: float = np.nan) -> np.ndarray:
        drawn = generator.normal(size=(*shape, *inner))
        return np.where(runs.reshape(*shape, *(1,) * len(inner)), drawn, at_zero)

    return LeakWatch(
        keys=state(n_items=n_items).keys,
        alarm_day=alarm_day,
        alarm_share=np.where(np.arange(n_items) == 1, 1, -1),
        left_out_from=left_out,
        times=generator.normal(size=(n_items, 4)),
        traffic=generator.normal(size=(n_items, 6)),
        log_ratio=np.abs(values(at_zero=0.0)),
        onset=days,
        answers=np.where(runs, 17, 0),
        parameters=values(3),
        covariance=values(3, 3),
        time_mean=values(),
        time_mean_se=values(),
        time_variance=values(),
        null_weights=values(5, at_zero=0.0),
        leak_weights=values(5, at_zero=0.0),
        settings_digest="abc",
        false_alarm_constants=np.array([[0.1, 0.2], [np.nan, np.nan]]),
    )


def _same(one: object, other: object) -> None:
    for field in fields(one):  # type: ignore[arg-type]
        mine, others = (np.asarray(getattr(found, field.name)) for found in (one, other))
        assert mine.dtype == others.dtype, field.name
        assert mine.tobytes() == others.tobytes(), field.name


def test_a_watch_is_read_back_bit_by_bit(engine: sa.Engine, run_id: str) -> None:
    for attempt, n_items in ((1, 3), (2, 2)):
        watch = _watch(n_items)
        states.write_state(engine, state(attempt=attempt, n_items=n_items), run_id, watch)
        found = read_leak_watch(engine, NIGHT, attempt)
        assert found is not None
        _same(found, watch)


def test_a_watch_without_running_detectors_is_read_back(engine: sa.Engine, run_id: str) -> None:
    watch = _watch(2)
    at_zero = {
        name: np.where(np.isnan(getattr(watch, name)), getattr(watch, name), np.nan)
        for name in ("parameters", "covariance", "time_mean", "time_mean_se", "time_variance")
    }
    zeros = {
        name: np.zeros_like(getattr(watch, name))
        for name in ("log_ratio", "answers", "null_weights", "leak_weights")
    }
    onset = np.full((2, 2), "NaT", "datetime64[D]")
    idle = replace(watch, **at_zero, **zeros, onset=onset)
    states.write_state(engine, state(n_items=2), run_id, idle)
    found = read_leak_watch(engine, NIGHT, 1)
    assert found is not None
    _same(found, idle)


def test_a_state_without_a_watch_has_none(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(), run_id)
    assert read_leak_watch(engine, NIGHT, 1) is None
    assert read_leak_verdicts(engine, NIGHT) is None


def test_verdicts_computed_again_take_the_place_of_earlier_ones(
    engine: sa.Engine, run_id: str
) -> None:
    night = state(n_items=2)
    states.write_state(engine, night, run_id)
    first = LeakVerdicts(
        is_suspected=np.array([True, False]),
        alarm_item=np.array([0, -1]),
        alarm_day=np.array(["2026-03-02", "NaT"], "datetime64[D]"),
        onset_day=np.array(["2026-03-01", "NaT"], "datetime64[D]"),
        statistic=np.array([14.5, 0.0]),
        threshold=np.array([12.0, np.inf]),
        share=np.array([0.6, 0.2]),
        answers_since_onset=np.array([40, 0]),
        answers_per_day=np.array([70.0, 0.0]),
        is_watched=np.array([True, False]),
        uses_times=np.array([True, False]),
        delay_answers=np.array([48.0, np.inf]),
        delay_days=np.array([0.7, np.inf]),
    )
    second = replace(first, statistic=np.array([15.5, 0.0]))
    for verdicts in (first, second):
        write_leak_verdicts(engine, NIGHT, 1, run_id, night.keys, verdicts)
    found = read_leak_verdicts(engine, NIGHT)
    assert found is not None
    assert found[0] == night.keys
    _same(found[1], second)


@pytest.mark.parametrize("table", ["leak_watches", "leak_items", "leak_detectors", "leak_verdicts"])
@pytest.mark.parametrize(
    "change", ["UPDATE calibration.{} SET position = 5", "DELETE FROM calibration.{}"]
)
def test_rows_can_be_neither_changed_nor_deleted(
    engine: sa.Engine, run_id: str, table: str, change: str
) -> None:
    states.write_state(engine, state(n_items=2), run_id, _watch(2))
    statement = change.format(table)
    if table == "leak_watches":
        statement = statement.replace("position", "n_nodes")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text(statement))
