"""What nights left behind, whatever order they were run in."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store import night_history, runs, states
from calibration_pipeline.store.abilities import write_abilities
from calibration_pipeline_tests.store.examples import NIGHT, snapshot_items, state
from calibration_pipeline_tests.store.publishing import published
from calibration_pipeline_tests.store.test_abilities import ABILITIES


def after(n: int) -> date:
    return NIGHT + timedelta(days=n)


def test_before_the_first_night_there_is_nothing(engine: sa.Engine) -> None:
    assert night_history.newest_versions(engine, NIGHT, 9) == ()
    assert night_history.accepted_keys(engine, NIGHT, 9) == ()
    assert night_history.read_estimates(engine, [("i", 1)], ()) == {}
    assert night_history.read_seconds(engine, NIGHT, 9) == ()
    assert night_history.ability_errors(engine, NIGHT, NIGHT) == {}


def test_the_newest_version_of_each_night_counts(engine: sa.Engine, run_id: str) -> None:
    for night, attempt in ((0, 1), (2, 1), (1, 1), (1, 2), (9, 1)):
        states.write_state(engine, state(after(night), attempt, n_items=2), run_id)
        # The same items again would publish nothing new.
        items = snapshot_items(3 + attempt)
        published(engine, run_id, items, partition=after(night), attempt=attempt)
    found = night_history.newest_versions(engine, after(2), 2)
    assert found == ((after(1), 4), (after(2), 2))


def test_items_are_counted_by_track_and_retired_ones_apart(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(n_items=2), run_id)
    items = [
        replace(item, track="trusted" if k < 3 else "provisional")
        for k, item in enumerate(snapshot_items(5))
    ]
    version = published(engine, run_id, items).version
    assert night_history.count_tracks(engine, version, frozenset()) == (3, 2, 0)
    retired = frozenset({("i0", 1), ("i4", 1), ("elsewhere", 1)})
    assert night_history.count_tracks(engine, version, retired) == (2, 1, 2)


def test_errors_of_ability_are_means_over_sessions(engine: sa.Engine) -> None:
    write_abilities(engine, NIGHT, None, ABILITIES)
    write_abilities(engine, after(5), None, ABILITIES)
    found = night_history.ability_errors(engine, NIGHT, after(4))
    assert found == {NIGHT: (2, pytest.approx(0.35))}


def anchored(night: date, attempt: int = 1, **changes: object) -> CalibrationState:
    """Anchors off by +0.3, −0.1 and, without a shadow, by 0; a free item; an unseen anchor."""
    parameters = np.tile([1.0, 0.5, 0.2], (5, 1))
    shadow = parameters.copy()
    shadow[:, 1] += [0.3, -0.1, 0.0, 2.0, 2.0]
    covariance = np.tile(np.diag([0.1, 0.04, 0.1]), (5, 1, 1))
    covariance[2] = 0.0
    made = state(
        night,
        attempt,
        parameters=parameters,
        shadow_parameters=shadow,
        covariance=covariance,
        is_anchor=np.array([True, True, True, False, True]),
        window_counts=np.array([50, 50, 50, 50, 0]),
        total_counts=np.array([70, 70, 70, 70, 0]),
    )
    return replace(made, **changes)


def test_displacements_are_those_of_anchors_with_a_shadow(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, anchored(NIGHT), run_id)
    found = night_history.read_displacement(engine, NIGHT, 1)
    assert (found.night, found.anchors) == (NIGHT, 2)
    assert found.mean == pytest.approx(0.1)
    assert found.spread == pytest.approx(np.sqrt((0.09 + 0.01) / 2))
    nobody = replace(anchored(after(1)), is_anchor=np.zeros(5, bool))
    states.write_state(engine, nobody, run_id)
    assert np.isnan(night_history.read_displacement(engine, after(1), 1).mean)


def test_estimates_are_of_the_newest_accepted_try_of_each_night(
    engine: sa.Engine, run_id: str
) -> None:
    second = anchored(NIGHT, 2)
    second.shadow_parameters[0, 1] = -1.0
    for made in (
        anchored(NIGHT),
        second,
        anchored(NIGHT, 3, is_accepted=False, reasons=("no",)),
        anchored(after(1), is_accepted=False, reasons=("no",)),
        anchored(after(2)),
        anchored(after(3)),
    ):
        states.write_state(engine, made, run_id)
    accepted = night_history.accepted_keys(engine, after(2), 9)
    assert accepted == ((NIGHT, 2), (after(2), 1))
    first, unknown = second.keys[0], ("nobody", 1)
    found = night_history.read_estimates(engine, [first, unknown], accepted)
    assert set(found) == {first}
    assert [(e.night, e.difficulty) for e in found[first]] == [(NIGHT, -1.0), (after(2), 0.8)]
    assert found[first][0].difficulty_se == pytest.approx(0.2)
    assert (found[first][0].total_count, found[first][0].is_anchor) == (70, True)


def finished(engine: sa.Engine, night: date, outcome: str, seconds: float) -> None:
    run = runs.open_run(
        engine, partition=night, triggered_by="a test", configuration={}, package_versions={}
    )
    timings = {"item_fits": seconds} if seconds else {}
    runs.close_run(engine, run, outcome, counts={}, timings=timings)


def test_seconds_are_those_of_each_night_s_newest_whole_run(engine: sa.Engine) -> None:
    finished(engine, after(-3), "completed", 9.0)
    finished(engine, NIGHT, "completed", 1.0)
    finished(engine, NIGHT, "rejected", 2.0)
    finished(engine, NIGHT, "partial", 99.0)
    finished(engine, after(1), "failed", 98.0)
    finished(engine, after(2), "completed", 3.0)
    assert night_history.read_seconds(engine, after(2), 2) == ({"item_fits": 2.0},)
    assert night_history.read_seconds(engine, after(2), 5) == (
        {"item_fits": 9.0},
        {"item_fits": 2.0},
    )
    assert night_history.read_own_seconds(engine, after(2)) == {"item_fits": 3.0}
    assert night_history.read_own_seconds(engine, after(3)) == {}
