"""Flags listed, shown and decided on from the command line."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.records import Flag
from calibration_pipeline.store import results, states
from calibration_pipeline.store.bank import import_bank, read_bank
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import FIRST_DAY
from calibration_pipeline_tests.store.conftest import bank_csv

__all__ = ["bank_csv"]

DRIFT = Flag(
    ("i1", 1), "reference_drift", 0.9, 0.5, 0.15, 4.2, True, "0.40 harder", "all answers", FIRST_DAY
)
MISFIT = Flag(("i2", 1), "misfit_infit", 1.5, 1.0, 1.3, -5.0, True, "noisy", "the model")
NEWEST = FIRST_DAY + timedelta(days=30)


@pytest.fixture
def flagged(engine: sa.Engine, run_id: str, bank_csv: Path) -> sa.Engine:
    """Three nights: one a window ago, i1 flagged on the two newest, i2 on the newest alone."""
    import_bank(engine, bank_csv, "3PL")
    bank = read_bank(engine, FIRST_DAY)
    usual = make_state(bank, np.tile([1.0, 0.5, 0.2], (bank.n_items, 1)))
    weak = replace(DRIFT, key=("i3", 1), z=1.0, is_credible=False)
    for night, flags in (
        (FIRST_DAY, ()),
        (NEWEST - timedelta(days=1), (DRIFT, weak)),
        (NEWEST, (DRIFT, MISFIT)),
    ):
        states.write_state(engine, replace(usual, partition=night), run_id)
        results.write_flags(engine, night, 1, run_id, flags)
    return engine


def listed(run: Calibrate, *options: str) -> list[tuple[str, str, str]]:
    rows = json.loads(run("flags", "list", *options, "--json").stdout)
    return [(row["item_id"], row["reason"], row["status"]) for row in rows]


def test_what_is_open_is_listed_by_evidence(on_database: Calibrate, flagged: sa.Engine) -> None:
    drift, misfit = ("i1", "reference_drift", "open"), ("i2", "misfit_infit", "open")
    assert listed(on_database) == listed(on_database, "--all") == [misfit, drift]
    assert listed(on_database, "--new") == [misfit]
    assert listed(on_database, "--reason", "reference_drift") == [drift]
    table = on_database("flags", "list").stdout
    assert "0.40 harder" in table
    assert str(NEWEST) in table
    unknown = on_database("flags", "list", "--reason", "drift")
    assert unknown.exit_code == 2
    assert "reference_drift" in unknown.output


def test_before_the_first_night_there_is_nothing_to_list(on_database: Calibrate) -> None:
    result = on_database("flags", "list")
    assert result.exit_code == 0
    assert "calibrate night" in result.stderr


def test_every_nights_evidence_is_shown_and_what_could_have_been_seen(
    on_database: Calibrate, flagged: sa.Engine
) -> None:
    shown = json.loads(on_database("flags", "show", "i1", "--json").stdout)
    assert [(row["night"], row["z"]) for row in shown["evidence"]] == [
        (str(NEWEST - timedelta(days=1)), 4.2),
        (str(NEWEST), 4.2),
    ]
    assert shown["evidence"][0]["compared_on"] == str(FIRST_DAY)
    assert [row["nights_seen"] for row in shown["flags"]] == [2]
    power = shown["power"]
    assert power["answers in the window"] == 500
    assert power["smallest move that is seen 4 times in 5"] > 0.15
    assert "Evidence" in on_database("flags", "show", "i1@1").stdout
    noise = json.loads(on_database("flags", "show", "i3", "--json").stdout)
    assert (len(noise["evidence"]), noise["flags"]) == (1, [])
    unknown = on_database("flags", "show", "i7")
    assert unknown.exit_code == 2
    assert "no item 'i7'" in unknown.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_anchor": True}, "it is an anchor"),
        ({"anchor_digest": "another set"}, "other anchors were in force a window ago"),
        ({"covariance": 9.0 * np.eye(3)}, "too few answers"),
        ({"partition": FIRST_DAY + timedelta(days=29)}, "no accepted night is a window old"),
    ],
)
def test_an_item_that_is_not_compared_is_told_why(
    on_database: Calibrate,
    engine: sa.Engine,
    run_id: str,
    bank_csv: Path,
    changes: dict[str, Any],
    said: str,
) -> None:
    import_bank(engine, bank_csv, "3PL")
    bank = read_bank(engine, FIRST_DAY)
    usual = make_state(bank, np.tile([1.0, 0.5, 0.2], (bank.n_items, 1)))
    newest = replace(usual, partition=NEWEST)
    for name, value in changes.items():
        old = getattr(newest, name)
        new = np.full_like(old, value) if isinstance(old, np.ndarray) else value
        newest = replace(newest, **{name: new})
    for state in (usual, newest):
        states.write_state(engine, state, run_id)
        results.write_flags(engine, state.partition, 1, run_id, ())
    shown = on_database("flags", "show", "i1")
    assert f"can't be compared with a reference of a window ago: {said}" in shown.stderr
    document = json.loads(on_database("flags", "show", "i1", "--json").stdout)
    assert document["power"] == {}
    assert said in document["not_compared"]


def test_a_reviewer_acknowledges_dismisses_and_takes_it_back(
    on_database: Calibrate, flagged: sa.Engine
) -> None:
    def decide(command: str, *options: str) -> None:
        result = on_database("flags", command, "i1", "--reason", "looked at it", *options)
        assert result.exit_code == 0, result.stderr

    decide("acknowledge")
    assert ("i1", "reference_drift", "acknowledged") in listed(on_database)
    decide("dismiss", "--decided-by", "content team", "--flag", "reference_drift")
    assert listed(on_database) == [("i2", "misfit_infit", "open")]
    assert ("i1", "reference_drift", "dismissed") in listed(on_database, "--all")
    decide("reopen")
    assert ("i1", "reference_drift", "open") in listed(on_database)
    shown = json.loads(on_database("flags", "show", "i1", "--json").stdout)
    assert [(d["decision"], d["decided_by"]) for d in shown["decisions"]] == [
        ("acknowledge", operator_name()),
        ("dismiss", "content team"),
        ("reopen", operator_name()),
    ]


def test_there_must_be_something_to_decide_on(on_database: Calibrate, flagged: sa.Engine) -> None:
    for command in (("acknowledge", "i3"), ("reopen", "i1"), ("dismiss", "i1", "--flag", "misfit")):
        result = on_database("flags", *command, "--reason", "because")
        assert result.exit_code == 2
        assert "calibrate flags show" in result.stderr
    assert on_database("flags", "dismiss", "i1").exit_code == 2
    assert on_database("flags", "dismiss", "i1", "--reason", " ").exit_code == 2
    assert listed(on_database, "--all") == listed(on_database)


def test_a_retired_item_is_frozen_from_the_next_night_on_and_can_come_back(
    on_database: Calibrate, flagged: sa.Engine
) -> None:
    def retired(number: int) -> list[str]:
        bank = read_bank(flagged, NEWEST + timedelta(days=number))
        return [
            key[0] for key, is_retired in zip(bank.keys, bank.is_retired, strict=True) if is_retired
        ]

    on_database("flags", "retire", "i2", "--reason", "leaked")
    assert (retired(0), retired(1)) == ([], ["i2"])
    assert listed(on_database) == [("i1", "reference_drift", "open")]
    assert ("i2", "misfit_infit", "retired") in listed(on_database, "--all")
    again = on_database("flags", "retire", "i2", "--reason", "leaked")
    assert (again.exit_code, "retired already" in again.stderr) == (2, True)
    later = NEWEST + timedelta(days=9)
    on_database("flags", "reopen", "i2", "--reason", "replaced", "--from", later)
    assert (retired(8), retired(9)) == (["i2"], [])
    assert ("i2", "misfit_infit", "open") in listed(on_database)
