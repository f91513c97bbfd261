"""Nights and people meet at `current`: rolled back, frozen, published again, or failed."""

from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import PublicationConflictError
from calibration_pipeline.orchestration.assets import calibration_snapshot
from calibration_pipeline.records import AuditFinding
from calibration_pipeline.store import drafts
from calibration_pipeline.store.aliases import list_moves, promote
from calibration_pipeline.store.publication_switch import freeze, thaw
from calibration_pipeline.store.snapshots import current_version, list_snapshots
from calibration_pipeline.store.tables import run_outcomes, runs, snapshot_draft_items
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, Programme

OLD = NIGHTS[4]


def versions(programme: Programme) -> int:
    return len(list_snapshots(programme.engine))


def test_a_night_run_again_with_the_same_result_publishes_no_second_version(
    calibrated_copy: Programme,
) -> None:
    programme = calibrated_copy
    for night, version in ((LAST, len(NIGHTS)), (OLD, NIGHTS.index(OLD) + 1)):
        outcome = programme.night(night)
        assert (outcome.outcome, outcome.reason) == ("completed", "")
        assert outcome.counts["version"] == version
        shown = programme.materializations("calibration_snapshot")[str(night)]
        assert (shown["version"], shown["current"]) == (version, len(NIGHTS))
        assert shown["publication"] == "the night's version says the same, and stands"
        assert programme.state(night).attempt == 2
        abilities = programme.scalar(
            "SELECT min(version) FROM calibration.candidate_abilities WHERE partition = :night",
            night=night,
        )
        assert abilities == version
    assert versions(programme) == len(NIGHTS)
    assert len(list_moves(programme.engine)) == len(NIGHTS)
    assert drafts.list_drafts(programme.engine) == ()


@pytest.mark.slow
def test_the_night_after_a_rollback_moves_current_on(programme: Programme) -> None:
    programme.run(FIRST, NIGHTS[1])
    promote(programme.engine, 1, moved_by="ada", reason="a look")
    assert programme.night(NIGHTS[2]).counts["version"] == 3
    assert current_version(programme.engine) == 3
    assert [m.parent_version for m in list_snapshots(programme.engine)] == [1, 1, None]


def test_a_rollback_while_a_night_is_calibrated_is_not_overruled(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one during the fit, long before the night's draft."""
    programme.run(FIRST, NIGHTS[1])
    compose = calibration_snapshot.compose_snapshot

    def after_a_rollback(*arguments: Any) -> Any:
        promote(programme.engine, 1, moved_by="ada", reason="wrong key of item 7")
        return compose(*arguments)

    monkeypatch.setattr(calibration_snapshot, "compose_snapshot", after_a_rollback)
    with pytest.raises(PublicationConflictError, match="wrong key of item 7") as error:
        programme.run(NIGHTS[2])
    assert "\n" not in str(error.value)
    assert current_version(programme.engine) == 1
    assert versions(programme) == 2
    outcome, reason = ends(programme)[-1]
    assert outcome == "failed"
    assert reason.startswith("`current` points at version 1 (moved by ada: wrong key of item 7)")

    monkeypatch.undo()
    assert programme.night(NIGHTS[2]).outcome == "completed"
    assert current_version(programme.engine) == 3
    assert drafts.list_drafts(programme.engine) == ()


def ends(programme: Programme) -> list[tuple[str, str]]:
    query = (
        sa.select(run_outcomes.c.outcome, run_outcomes.c.reason)
        .join_from(runs, run_outcomes)
        .order_by(runs.c.partition)
    )
    with programme.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_while_frozen_nights_go_on_and_current_stays(programme: Programme) -> None:
    programme.run(FIRST)
    freeze(programme.engine, decided_by="ada", reason="exam week")
    outcomes = programme.nights(NIGHTS[1], NIGHTS[2])
    assert [outcome.outcome for outcome in outcomes] == ["completed", "completed"]
    for outcome in outcomes:
        assert outcome.reason.startswith("publication is frozen since ")
        assert outcome.reason.endswith(" by ada: exam week; `current` stays at version 1")
        shown = programme.materializations("calibration_snapshot")[str(outcome.partition)]
        assert (shown["held back"], shown["current"]) == (outcome.reason, 1)
    assert current_version(programme.engine) == 1
    assert versions(programme) == 3
    thaw(programme.engine, decided_by="ada", reason="exams are over")
    assert programme.night(NIGHTS[3]).reason == ""
    assert current_version(programme.engine) == 4


def test_what_was_written_wrongly_fails_its_audit_and_no_reader_sees_it(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One digit in the database is another than was composed."""
    write, seen = drafts.write_draft, []

    def write_badly(*arguments: Any) -> int:
        draft_id = write(*arguments)
        with programme.engine.begin() as connection:
            worst = sa.select(sa.func.min(snapshot_draft_items.c.item_id)).scalar_subquery()
            connection.execute(
                sa.update(snapshot_draft_items)
                .where(snapshot_draft_items.c.item_id == worst)
                .values(difficulty_se=snapshot_draft_items.c.difficulty_se + 0.001)
            )
            for view in ("published_items", "current_items", "alias_items"):
                query = sa.text(f"SELECT count(*) FROM calibration.{view}")  # noqa: S608
                seen.append(connection.scalar(query))
        return draft_id

    monkeypatch.setattr(drafts, "write_draft", write_badly)
    outcome = programme.night(FIRST)
    assert outcome.outcome == "audit_failed"
    assert outcome.reason.startswith("what was written is what was composed: digest ")
    assert seen == [0, 0, 0]
    assert versions(programme) == 0
    (kept,) = drafts.list_drafts(programme.engine)
    assert (kept.state, kept.draft.partition, kept.draft.attempt) == ("failed", FIRST, 1)
    shown = programme.materializations("calibration_snapshot")[str(FIRST)]
    assert shown["draft kept"] == kept.draft_id

    monkeypatch.undo()
    assert programme.night(FIRST).counts["version"] == 1
    assert [draft.draft_id for draft in drafts.list_drafts(programme.engine)] == [kept.draft_id]


@pytest.mark.slow
def test_a_re_run_whose_audit_fails_is_no_success_of_the_version_before(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is the same; the version that the first try published does not stand for it."""
    programme.run(FIRST)
    failed = (AuditFinding("a rule", False, "it was broken"),)
    monkeypatch.setattr(calibration_snapshot, "audit_snapshot", lambda *_: failed)
    outcome = programme.night(FIRST)
    assert (outcome.outcome, outcome.reason) == ("audit_failed", "a rule: it was broken")
    assert current_version(programme.engine) == 1
    page = (programme.settings.home / "reports" / f"{FIRST}.html").read_text()
    assert "a rule" in page


@pytest.mark.slow
def test_another_scaling_constant_than_the_last_version_has_publishes_nothing(
    programme: Programme,
) -> None:
    programme.run(FIRST)
    em = programme.settings.policy.em
    changed = programme.with_policy(em=type(em)(scaling_constant=1.702))
    outcome = changed.night(NIGHTS[1])
    assert outcome.outcome == "audit_failed"
    assert "D is 1.702, it was 1: set it back in the settings" in outcome.reason
    assert current_version(programme.engine) == 1
