"""Publication: one transaction, compare and swap, fencing; versions are read as written."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import (
    BadInputError,
    LockLostError,
    NightBlockedError,
    PublicationConflictError,
)
from calibration_pipeline.records import AuditFinding
from calibration_pipeline.store import snapshots, states
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline_tests.store.examples import PASSED, draft, snapshot_items, state


@pytest.fixture(autouse=True)
def _stored_state(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(), run_id)


def _publish(engine: sa.Engine, run_id: str, parent: int | None, **options: object) -> int:
    with CalibrationLock(engine, "a test") as lock:
        arguments: dict[str, object] = {"fence_token": lock.token, "moved_by": "a test"} | options
        items = arguments.pop("items", snapshot_items())
        findings = arguments.pop("findings", PASSED)
        return snapshots.publish(
            engine,
            draft(run_id, parent_version=parent),
            items,  # type: ignore[arg-type]
            findings,  # type: ignore[arg-type]
            **arguments,  # type: ignore[arg-type]
        )


def _rows(engine: sa.Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_a_version_is_read_as_it_was_written(engine: sa.Engine, run_id: str) -> None:
    items = snapshot_items()
    assert _publish(engine, run_id, None, items=items[::-1]) == 1
    assert snapshots.read_snapshot_items(engine, 1) == items
    assert snapshots.read_audit(engine, 1) == PASSED
    manifest, expected = snapshots.read_manifest(engine, 1), draft(run_id)
    for name in expected.__dataclass_fields__:
        assert getattr(manifest, name) == getattr(expected, name), name
    assert manifest.content_digest == snapshots.content_digest(items, 1.702)
    assert abs((datetime.now(UTC) - manifest.published_at).total_seconds()) < 60
    assert snapshots.list_snapshots(engine) == (manifest,)


def test_current_follows_each_publication(engine: sa.Engine, run_id: str) -> None:
    assert snapshots.current_version(engine) is None
    assert [_publish(engine, run_id, parent) for parent in (None, 1, 2)] == [1, 2, 3]
    assert snapshots.current_version(engine) == 3
    assert [m.version for m in snapshots.list_snapshots(engine, limit=2)] == [3, 2]
    moves = _rows(engine, "SELECT from_version, to_version FROM calibration.alias_moves ORDER BY 2")
    assert moves == [(None, 1), (1, 2), (2, 3)]


def test_readers_see_the_current_items(engine: sa.Engine, run_id: str) -> None:
    _publish(engine, run_id, None, items=snapshot_items(2))
    _publish(engine, run_id, 1, items=snapshot_items(3))
    rows = _rows(engine, "SELECT version, scaling_constant FROM calibration.current_items")
    assert rows == [(2, 1.702)] * 3
    counts = _rows(
        engine, "SELECT version, count(*) FROM calibration.published_items GROUP BY 1 ORDER BY 1"
    )
    assert counts == [(1, 2), (2, 3)]


def test_an_old_night_run_again_does_not_move_current(engine: sa.Engine, run_id: str) -> None:
    _publish(engine, run_id, None)
    assert _publish(engine, run_id, None, move_alias=False) == 2
    assert snapshots.current_version(engine) == 1


@pytest.mark.parametrize("parent", [None, 7])
def test_a_moved_alias_is_a_conflict_and_nothing_is_written(
    engine: sa.Engine, run_id: str, parent: int | None
) -> None:
    _publish(engine, run_id, None)
    error = PublicationConflictError if parent is None else sa.exc.IntegrityError
    with pytest.raises(error):
        _publish(engine, run_id, parent)
    assert len(snapshots.list_snapshots(engine)) == 1
    assert snapshots.current_version(engine) == 1


def test_a_stale_parent_is_a_conflict(engine: sa.Engine, run_id: str) -> None:
    _publish(engine, run_id, None)
    _publish(engine, run_id, 1)
    with pytest.raises(PublicationConflictError, match=r"points at version 2.*to follow 1"):
        _publish(engine, run_id, 1)


def test_a_holder_that_was_succeeded_cannot_publish(engine: sa.Engine, run_id: str) -> None:
    with CalibrationLock(engine, "first") as lock:
        token = lock.token
    with CalibrationLock(engine, "second"), pytest.raises(LockLostError, match="second"):
        snapshots.publish(
            engine, draft(run_id), snapshot_items(), PASSED, fence_token=token, moved_by="first"
        )
    assert snapshots.list_snapshots(engine) == ()


def test_a_failed_audit_publishes_nothing(engine: sa.Engine, run_id: str) -> None:
    findings = (*PASSED, AuditFinding("moved", False, "half of the items moved"))
    with pytest.raises(NightBlockedError, match="moved: half of the items moved"):
        _publish(engine, run_id, None, findings=findings)
    assert snapshots.list_snapshots(engine) == ()


def test_a_failed_write_leaves_nothing(engine: sa.Engine, run_id: str) -> None:
    twice = snapshot_items(1) * 2
    with pytest.raises(Exception, match="duplicate key"):
        _publish(engine, run_id, None, items=twice)
    assert snapshots.list_snapshots(engine) == ()
    assert snapshots.current_version(engine) is None


def test_the_digest_is_of_the_content_alone() -> None:
    items = snapshot_items()
    digest = snapshots.content_digest(items, 1.0)
    assert digest == snapshots.content_digest(items[::-1], 1.0)
    assert digest != snapshots.content_digest(items, 1.702)
    assert digest != snapshots.content_digest(items[1:], 1.0)
    for change in ({"difficulty": 0.0}, {"track": "trusted"}, {"total_count": 99}):
        changed = (replace(items[0], **change), *items[1:])  # type: ignore[arg-type]
        assert digest != snapshots.content_digest(changed, 1.0)


def test_a_population_that_was_not_estimated_survives(engine: sa.Engine, run_id: str) -> None:
    unknown = draft(run_id, population={"main": {"mean": math.nan, "sd": 1.0}})
    with CalibrationLock(engine, "a test") as lock:
        snapshots.publish(
            engine, unknown, snapshot_items(), PASSED, fence_token=lock.token, moved_by="a test"
        )
    assert math.isnan(snapshots.read_manifest(engine, 1).population["main"]["mean"])


def test_a_version_that_does_not_exist_is_named(engine: sa.Engine) -> None:
    with pytest.raises(BadInputError, match=r"no version 12.*snapshots list"):
        snapshots.read_snapshot_items(engine, 12)
