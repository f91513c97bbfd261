"""`calibrate anchors`: selecting proposes, activating decides, and both can be looked at."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.anchor_programmes import (
    ANCHORS,
    ITEMS,
    MOVED,
    NEXT_NIGHT,
    NIGHT,
    NIGHTS,
    load,
    state_on,
    store_night,
)


@pytest.fixture
def pool(engine: sa.Engine, tmp_path: Path) -> sa.Engine:
    load(engine, tmp_path)
    return engine


@pytest.fixture
def anchors(on_database: Calibrate, monkeypatch: pytest.MonkeyPatch) -> Calibrate:
    """Run `calibrate anchors`, with a fifth of the pool as anchors."""
    monkeypatch.setenv("CALIBRATION_POLICY__ANCHORS__SHARE", "0.2")
    monkeypatch.setenv("CALIBRATION_POLICY__MINIMUM_ANCHORS", "10")
    return lambda *arguments: on_database("anchors", *arguments)


def test_a_set_is_selected_looked_at_and_activated(anchors: Calibrate, pool: sa.Engine) -> None:
    selected = anchors("select", "--json")
    assert selected.exit_code == 0, selected.stderr
    document = json.loads(selected.stdout)
    assert (document["anchor_set_id"], document["night"]) == (2, str(NIGHT))
    assert "Nothing has changed yet" in selected.stderr
    assert len(document["candidates"]) == ITEMS
    chosen = [item for item in document["candidates"] if item["is_chosen"]]
    assert len(chosen) == ITEMS // 5
    assert sum(item["is_present"] for item in chosen) == ANCHORS
    (moved,) = (item for item in document["candidates"] if item["item_id"] == MOVED)
    assert "moved by +1.0" in moved["reason"]
    assert read_anchor_set(pool, NEXT_NIGHT).anchor_set_id == 1

    compared = json.loads(anchors("diff", "current", 2, "--json").stdout)
    assert compared["counts"]["comes"] == ITEMS // 5 - ANCHORS
    assert compared["counts"]["leaves"] == 0
    assert {item["reason"] for item in compared["items"]} == {"qualifies"}

    activated = anchors("activate", 2, "--reason", "a review", "--json")
    assert json.loads(activated.stdout) == {"anchor_set_id": 2, "effective_from": str(NEXT_NIGHT)}
    assert read_anchor_set(pool, NEXT_NIGHT).anchor_set_id == 2
    assert read_anchor_set(pool, NIGHT).anchor_set_id == 1
    listed = json.loads(anchors("list", "--json").stdout)
    assert [(row["anchor_set_id"], row["status"]) for row in listed] == [
        (2, f"in force from {NEXT_NIGHT}"),
        (1, "activated from the beginning"),
    ]
    store_night(pool, state_on(pool, NEXT_NIGHT, moved=1.0))
    selected = anchors("select", "--json")
    again = json.loads(selected.stdout)["candidates"]
    assert sum(item["is_chosen"] and item["is_present"] for item in again) == 12
    assert "nothing to do" in selected.stderr


def test_everything_shown_can_be_read(anchors: Calibrate, pool: sa.Engine) -> None:
    table = anchors("select", "--as-of", NIGHT).stdout
    for text in ("Anchor set 2, proposed", "items judged", "scale main", "moved by … ± …"):
        assert text in table
    shown = anchors("show", 2, "--rows", 3).stdout
    for text in ("proposed", "selected", "3 of 12 anchors", "an anchor before", "± moved"):
        assert text in shown
    refused = anchors("show", 2, "--refused", "--rows", 100).stdout
    assert MOVED in refused
    assert "48 of 48 items that were not chosen" in refused
    imported = anchors("show").stdout
    for text in ("in force from the beginning", "imported with bank.csv", "6 of 6 anchors"):
        assert text in imported
    assert "nobody was judged for it" in anchors("show", 1, "--refused").stderr
    compared = anchors("diff", 1, 2).stdout
    assert "From anchor set 1 to 2" in compared
    assert "6 of 6 items that change" in compared
    assert "in force" in anchors("list").stdout


def test_an_items_nights_are_shown(anchors: Calibrate, pool: sa.Engine) -> None:
    nights = json.loads(anchors("show", "--history", "i0001", "--json").stdout)
    assert [night["night"] for night in nights] == [str(night) for night in NIGHTS]
    assert all(night["is_anchor"] for night in nights)
    assert [night["shift"] for night in nights] == pytest.approx([0.03] * 3)
    table = anchors("show", "--history", "i0001", "--rows", 2).stdout
    assert "The last 2 of 3 nights of i0001 (content version 1)" in table


@pytest.mark.parametrize(
    ("command", "exit_code", "expected"),
    [
        (("show", "newest"), 2, "'newest' is no anchor set"),
        (("show", "9" * 30), 2, "is no anchor set"),
        (("show", "7"), 2, "there is no anchor set 7"),
        (("diff", "1", "7"), 2, "there is no anchor set 7"),
        (("activate", "7", "--reason", "why"), 2, "there is no anchor set 7"),
        (("activate", "1", "--reason", "  "), 2, "needs a reason"),
        (("activate", "1", "--reason", "why"), 1, "in force from 2026-06-02 on already"),
        (("activate", "1", "--reason", "why", "--from", "2026-06-01"), 2, "has been calibrated"),
        (("show", "--history", "nobody"), 2, "no accepted night knows the item 'nobody'"),
        (("select", "--as-of", "2020-01-01"), 1, "no night has been accepted up to 2020-01-01"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(
    anchors: Calibrate, pool: sa.Engine, command: tuple[str, ...], exit_code: int, expected: str
) -> None:
    result = anchors(*command)
    assert result.exit_code == exit_code
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert result.stdout == ""


def test_an_empty_database_has_no_sets(anchors: Calibrate) -> None:
    listed = anchors("list")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "No anchor set yet" in listed.stderr
    for command in ("show", "select"):
        result = anchors(command)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
