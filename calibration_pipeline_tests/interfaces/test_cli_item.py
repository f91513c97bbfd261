"""``calibrate item``: what is told of an item is what the store holds."""

import itertools
import json
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline_tests.interfaces.calibrated_commands import (
    calibrated,
    loaded_template,
    on_programme,
)
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.programme import LAST, NIGHTS, POLICY, Programme

__all__ = ["calibrated", "loaded_template", "on_programme"]


@pytest.fixture
def flagged(calibrated: Programme) -> str:
    """An item that the nights flagged, and that isn't an anchor."""
    return str(
        calibrated.scalar(
            "SELECT f.item_id FROM calibration.flags AS f "
            "LEFT JOIN calibration.anchor_set_items AS a USING (item_id) "
            "WHERE a.item_id IS NULL ORDER BY f.is_credible DESC, f.item_id LIMIT 1"
        )
    )


@pytest.fixture
def anchor(calibrated: Programme) -> str:
    return str(calibrated.scalar("SELECT min(item_id) FROM calibration.anchor_set_items"))


def test_the_story_says_what_the_store_holds(
    on_programme: Calibrate, calibrated: Programme, flagged: str
) -> None:
    story = json.loads(on_programme("item", flagged, "--json").stdout)
    state = calibrated.state(LAST)
    j = state.keys.index((flagged, 1))
    assert story["answers"]["in_window"] == state.window_counts[j]
    assert story["answers"]["in_all"] == state.total_counts[j]
    given, right = answers_logged(calibrated, flagged)
    assert (story["answers"]["given"], story["answers"]["right"]) == (given, right)
    assert story["answers"]["share_right"] == pytest.approx(right / given)
    assert [own["night"] for own in story["versions"]] == [str(night) for night in NIGHTS]
    published = calibrated.store().items_of(len(NIGHTS))
    own = next(item for item in published if item.key == (flagged, 1))
    newest = story["versions"][-1]
    assert newest["is_current"]
    assert (newest["difficulty"], newest["difficulty_se"]) == (own.difficulty, own.difficulty_se)
    assert newest["infit"] == pytest.approx(state.infit[j], nan_ok=True)
    assert story["evidence"]
    assert sum(story["response_curve"]["observed"]["answers"]) <= story["answers"]["in_window"]
    lacking = POLICY.trust_threshold - story["answers"]["in_all"]
    assert (story["answers"]["days_to_trust"] == 0) == (lacking <= 0)


def answers_logged(programme: Programme, item: str) -> tuple[int, int]:
    query = "SELECT {} FROM calibration.response_log WHERE item_id = :item"
    return (
        programme.scalar(query.format("count(*)"), item=item),
        programme.scalar(query.format("sum(score)"), item=item),
    )


def test_a_change_is_the_difference_of_two_versions(on_programme: Calibrate, flagged: str) -> None:
    versions = json.loads(on_programme("item", flagged, "--json").stdout)["versions"]
    assert versions[0]["change"].startswith("came")
    for before, after in itertools.pairwise(versions):
        moved = after["difficulty"] - before["difficulty"]
        assert after["difficulty_by"] == pytest.approx(moved)
        assert ("moved" in after["change"]) == any(
            before[name] != after[name] for name in ("discrimination", "difficulty", "guessing")
        )


def test_the_screen_tells_it_with_plots(on_programme: Calibrate, flagged: str) -> None:
    shown = on_programme("item", flagged, "--rows", "3")
    assert shown.exit_code == 0, shown.output
    for part in (f"{flagged}@1", "3 of 8 versions", "Evidence", "Share right by ability", "●"):
        assert part in shown.stdout
    assert "8 current" in shown.stdout
    wrong = on_programme("item", f"{flagged}@7")
    assert wrong.exit_code == 2
    assert f"{flagged} has no content version 7: the bank has 1" in wrong.stderr


def test_an_anchor_is_shown_where_it_is_held_and_where_each_window_puts_it(
    on_programme: Calibrate, calibrated: Programme, anchor: str
) -> None:
    story = json.loads(on_programme("item", anchor, "--json").stdout)
    assert story["anchor_set"] is not None
    held = calibrated.scalar(
        "SELECT difficulty FROM calibration.anchor_set_items WHERE item_id = :i", i=anchor
    )
    assert story["held_at"] == held
    state = calibrated.state(LAST)
    shadow = state.shadow_parameters[state.keys.index((anchor, 1)), 1]
    assert story["difficulty_by_night"][-1]["difficulty"] == pytest.approx(shadow)
    assert "held at" in on_programme("item", anchor).stdout


@pytest.mark.parametrize(("suffix", "beginning"), [("svg", b"<?xml"), ("PNG", b"\x89PNG")])
def test_plots_are_written_for_their_owner_alone_and_twice_the_same(
    on_programme: Calibrate, flagged: str, tmp_path: Path, suffix: str, beginning: bytes
) -> None:
    first, second = (tmp_path / f"{name}.{suffix}" for name in ("first", "second"))
    for path in (first, second):
        written = on_programme("item", flagged, "--plot", path)
        assert written.exit_code == 0, written.output
    assert first.read_bytes().startswith(beginning)
    assert first.read_bytes() == second.read_bytes()
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_another_kind_of_file_is_refused_before_anything_is_read(on_programme: Calibrate) -> None:
    refused = on_programme("item", "nobody", "--plot", "plot.pdf")
    assert refused.exit_code == 2
    assert refused.stderr == "error: plot.pdf is no name for a plot: end it in .svg or .png\n"


def test_an_unknown_item_ends_in_one_line_with_near_names(
    on_programme: Calibrate, flagged: str
) -> None:
    unknown = on_programme("item", flagged.upper() + "x")
    assert unknown.exit_code == 2
    assert flagged in unknown.stderr.partition("did you mean")[2]
    assert unknown.stderr.count("\n") == 1
    far = on_programme("item", "§§§")
    assert "did you mean" not in far.stderr
    assert "calibrate flags list" in far.stderr


def test_days_that_are_lost_are_said_to_be(
    on_programme: Calibrate, calibrated: Programme, flagged: str
) -> None:
    lost = next((calibrated.settings.home / "archive").rglob("revision-*.parquet"))
    aside = lost.with_suffix(".aside")
    lost.rename(aside)
    try:
        story = on_programme("item", flagged)
    finally:
        aside.rename(lost)
    assert story.exit_code == 0, story.output
    assert (
        f"the archived file {lost.relative_to(calibrated.settings.home / 'archive')}"
        in story.stderr
    )


def test_before_the_first_night_there_is_the_bank_alone(
    on_database: Calibrate, engine: sa.Engine, tmp_path: Path
) -> None:
    bank = tmp_path / "bank.csv"
    bank.write_text("item_id,discrimination,difficulty,guessing,author_difficulty\nq1,,,,0.5\n")
    assert on_database("import-bank", bank).exit_code == 0
    shown = on_database("item", "q1")
    assert shown.exit_code == 0, shown.output
    assert "not published yet" in shown.stdout
    assert "no night yet" in shown.stdout
    story = json.loads(on_database("item", "q1", "--json").stdout)
    assert (story["author_difficulty"], story["versions"]) == (0.5, [])
    assert on_database("item", "q1", "--plot", tmp_path / "q1.svg").exit_code == 0
