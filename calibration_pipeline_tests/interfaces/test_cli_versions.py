"""Versions compared, moved and frozen from the command line; what failed its audit is shown."""

import getpass
import json
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.records import AuditFinding
from calibration_pipeline.store import states
from calibration_pipeline.store.drafts import write_draft
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.examples import (
    NIGHT,
    PASSED,
    draft,
    snapshot_items,
    state,
)
from calibration_pipeline_tests.store.publishing import audited_draft, published

FAILED = (AuditFinding("moved", False, "half of the items moved"), *PASSED)


@pytest.fixture
def versions(engine: sa.Engine, run_id: str) -> sa.Engine:
    """Two versions: in the second one item moved, one graduated, one came and one went."""
    states.write_state(engine, state(n_items=2), run_id)
    moved, graduated, *rest = (
        replace(item, difficulty=0.0, difficulty_se=0.1) for item in snapshot_items(5)
    )
    published(engine, run_id, [moved, graduated, *rest[:-1]])
    after = [replace(moved, difficulty=-0.3), replace(graduated, track="trusted")]
    published(engine, run_id, [*after, replace(rest[0], difficulty=0.05), rest[-1]])
    return engine


def test_a_diff_shows_the_largest_movers_first_and_counts_every_kind(
    on_database: Calibrate, versions: sa.Engine
) -> None:
    found = json.loads(on_database("snapshots", "diff", 1, "current", "--json").stdout)
    assert (found["before"], found["after"]) == (1, 2)
    assert found["counts"] == {
        "compared": 3,
        "moved": 2,
        "graduated": 1,
        "became_provisional": 0,
        "source_changed": 0,
        "came": 1,
        "went": 1,
    }
    assert [(row["item_id"], row["change"]) for row in found["items"]] == [
        ("i0", "moved"),
        ("i2", "moved"),
        ("i1", "trusted now"),
        ("i3", "went"),
        ("i4", "came"),
    ]
    first = found["items"][0]
    assert (first["difficulty_by"], first["difficulty_in_standard_errors"]) == (
        -0.3,
        pytest.approx(-3.0),
    )
    assert found["items"][-1]["difficulty_by"] is None
    assert (first["track_before"], first["source_after"]) == ("provisional", "fitted")
    table = on_database("snapshots", "diff", 1, 2, "--rows", 2).stdout
    for text in ("From version 1 to 2", "became provisional", "-3.000", "2 of 5 items"):
        assert text in table
    assert "trusted now" not in table


def test_a_diff_leaves_small_moves_out_when_told(
    on_database: Calibrate, versions: sa.Engine
) -> None:
    result = on_database("snapshots", "diff", 1, 2, "--moved-by", 0.1, "--json")
    assert [row["item_id"] for row in json.loads(result.stdout)["items"]] == [
        "i0", "i1", "i3", "i4"
    ]  # fmt: skip
    same = on_database("snapshots", "diff", 2, 2)
    assert (same.exit_code, same.stderr) == (0, "No item changed.\n")
    unknown = on_database("snapshots", "diff", 1, 9)
    assert unknown.exit_code == 2
    assert "no version 9" in unknown.stderr


def test_promoting_back_and_forth_is_logged_with_who_and_why(
    on_database: Calibrate, versions: sa.Engine
) -> None:
    back = on_database("snapshots", "promote", 1, "--reason", "wrong key of item 7")
    assert back.exit_code == 0, back.output
    assert "`current` points at version 1; before, at version 2." in back.stderr
    assert "calibrate snapshots freeze" in back.stderr
    assert current_version(versions) == 1
    forth = on_database("snapshots", "promote", 2, "--reason", "mended", "--expect", 1, "--json")
    move = json.loads(forth.stdout)
    assert (move["from_version"], move["to_version"], move["run_id"]) == (1, 2, None)
    assert (move["moved_by"], move["reason"]) == (getpass.getuser(), "mended")
    log = json.loads(on_database("snapshots", "moves", "--json").stdout)
    assert [(row["from_version"], row["to_version"]) for row in log] == [
        (1, 2), (2, 1), (1, 2), (None, 1)
    ]  # fmt: skip
    table = on_database("snapshots", "moves", "--limit", 2).stdout
    assert "wrong key of item 7" in table
    assert f"published for {NIGHT}" not in table


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((9, "--reason", "x"), 2, "no version 9"),
        ((1, "--reason", "x", "--expect", 1), 1, "points at version 2"),
        ((1, "--reason", " "), 2, "needs a reason"),
        ((1,), 2, "Missing option '--reason'"),
    ],
)
def test_a_promotion_that_is_refused_moves_nothing(
    on_database: Calibrate,
    versions: sa.Engine,
    arguments: tuple[object, ...],
    code: int,
    expected: str,
) -> None:
    result = on_database("snapshots", "promote", *arguments)
    assert (result.exit_code, expected in result.stderr) == (code, True), result.output
    assert current_version(versions) == 2


def test_promoting_what_is_current_says_so(on_database: Calibrate, versions: sa.Engine) -> None:
    result = on_database("snapshots", "promote", "current", "--reason", "make sure")
    assert result.exit_code == 0
    assert "points at version 2 already" in result.stderr
    assert "null" in on_database("snapshots", "promote", 2, "--reason", "x", "--json").stdout


def test_freezing_and_thawing(on_database: Calibrate, versions: sa.Engine, run_id: str) -> None:
    frozen = on_database("snapshots", "freeze", "--reason", "exam week")
    assert frozen.exit_code == 0, frozen.output
    assert f"by {operator_name()}: exam week" in frozen.stderr
    assert "As before: " in on_database("snapshots", "freeze", "--reason", "again").stderr
    assert published(versions, run_id).current == 2
    promoted = on_database("snapshots", "promote", 1, "--reason", "a person may")
    assert "it stays there until `calibrate snapshots thaw`" in promoted.stderr
    thawed = on_database("snapshots", "thaw", "--reason", "exams are over")
    assert thawed.stderr.splitlines() == [
        "Publication is open again.",
        "`current` is at version 1, the newest is 3: the next night that publishes moves it on, "
        "`calibrate snapshots promote 3 --reason TEXT --expect 1` does so now",
    ]
    on_database("snapshots", "promote", 3, "--reason", "mended", "--expect", 1)
    again = on_database("snapshots", "thaw", "--reason", "x")
    assert again.stderr == "Publication was not frozen.\n"
    assert "was not frozen" in on_database("snapshots", "thaw", "--reason", "x").stderr


def test_drafts_that_failed_are_listed_and_shown(
    on_database: Calibrate, engine: sa.Engine, run_id: str
) -> None:
    empty = on_database("snapshots", "drafts")
    assert (empty.exit_code, empty.stderr) == (0, "No draft is kept.\n")
    states.write_state(engine, state(n_items=2), run_id)
    next_night = NIGHT + timedelta(days=1)
    states.write_state(engine, state(next_night, n_items=2), run_id)
    failed = audited_draft(engine, draft(run_id), findings=FAILED)
    left = write_draft(engine, draft(run_id, partition=next_night), snapshot_items())
    rows = json.loads(on_database("snapshots", "drafts", "--json").stdout)
    assert [(row["draft_id"], row["state"], row["failed_rules"]) for row in rows] == [
        (left, "unaudited", []),
        (failed, "failed", ["moved"]),
    ]
    assert "moved" in on_database("snapshots", "drafts").stdout
    shown = json.loads(on_database("snapshots", "drafts", "show", failed, "--json").stdout)
    assert shown["draft"]["partition"] == str(NIGHT)
    assert [finding["passed"] for finding in shown["audit"]] == [True, False]
    assert [item["item_id"] for item in shown["items"]] == ["i0", "i1", "i2", "i3"]
    table = on_database("snapshots", "drafts", "show", failed, "--rows", 2).stdout
    for text in (f"Draft {failed}", "half of the items moved", "2 of 4 items"):
        assert text in table
    unknown = on_database("snapshots", "drafts", "show", 99)
    assert unknown.exit_code == 2
    assert "no draft 99" in unknown.stderr


def test_an_account_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert operator_name() == "user 4711"
