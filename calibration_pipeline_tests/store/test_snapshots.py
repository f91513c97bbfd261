"""Versions are read as they were published."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store import snapshots, states
from calibration_pipeline_tests.store.examples import (
    NIGHT,
    PASSED,
    draft,
    snapshot_items,
    state,
)
from calibration_pipeline_tests.store.publishing import published


@pytest.fixture(autouse=True)
def _stored_state(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(), run_id)


def test_a_version_is_read_as_it_was_written(engine: sa.Engine, run_id: str) -> None:
    items = snapshot_items()
    assert published(engine, run_id, items[::-1]).version == 1
    assert snapshots.read_snapshot_items(engine, 1) == items
    assert snapshots.read_audit(engine, 1) == PASSED
    manifest, expected = snapshots.read_manifest(engine, 1), draft(run_id)
    for name in expected.__dataclass_fields__:
        assert getattr(manifest, name) == getattr(expected, name), name
    assert manifest.content_digest == snapshots.content_digest(items, 1.702)
    assert abs((datetime.now(UTC) - manifest.published_at).total_seconds()) < 60
    assert snapshots.list_snapshots(engine) == (manifest,)


def test_readers_see_the_current_items(engine: sa.Engine, run_id: str) -> None:
    for n_items in (2, 3):
        published(engine, run_id, snapshot_items(n_items))
    with engine.connect() as connection:
        current = connection.execute(
            sa.text("SELECT version, scaling_constant FROM calibration.current_items")
        ).all()
        counts = connection.execute(
            sa.text("SELECT version, count(*) FROM calibration.published_items GROUP BY 1")
        ).all()
    assert [tuple(row) for row in current] == [(2, 1.702)] * 3
    assert sorted(tuple(row) for row in counts) == [(1, 2), (2, 3)]
    assert [m.version for m in snapshots.list_snapshots(engine, limit=1)] == [2]


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
    published(engine, run_id, population={"main": {"mean": math.nan, "sd": 1.0}})
    assert math.isnan(snapshots.read_manifest(engine, 1).population["main"]["mean"])


def test_a_version_that_does_not_exist_is_named(engine: sa.Engine) -> None:
    with pytest.raises(BadInputError, match=r"no version 12.*snapshots list"):
        snapshots.read_snapshot_items(engine, 12)


def test_a_version_stands_for_every_try_that_gave_its_state(engine: sa.Engine, run_id: str) -> None:
    for attempt, digest in ((2, "state"), (3, "other")):
        states.write_state(engine, state(attempt=attempt, digest=digest), run_id)
    assert snapshots.version_standing_for(engine, NIGHT, 1) is None
    published(engine, run_id)
    standing = [snapshots.version_standing_for(engine, NIGHT, n) for n in (1, 2, 3, 4)]
    assert standing == [1, 1, None, None]
    published(engine, run_id, attempt=3)
    standing = [snapshots.version_standing_for(engine, NIGHT, n) for n in (1, 2, 3, 4)]
    assert standing == [None, None, 2, None]
