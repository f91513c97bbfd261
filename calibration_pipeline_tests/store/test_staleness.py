"""Staleness as the database has it: what is read, what is said, and what mends it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from calibration_pipeline.records import CalibrationState, SnapshotItem
from calibration_pipeline.store.stale_nights import StateKey
from calibration_pipeline.store.staleness import read_staleness
from calibration_pipeline.store.states import write_state
from calibration_pipeline_tests.database import statements_of
from calibration_pipeline_tests.store.examples import NIGHT, snapshot_items, state
from calibration_pipeline_tests.store.publishing import published

Write = Callable[..., CalibrationState]


def after(n: int) -> date:
    return NIGHT + timedelta(days=n)


def key(n: int, attempt: int = 1) -> StateKey:
    return after(n), attempt


@pytest.fixture
def write(engine: sa.Engine, run_id: str) -> Write:
    def write(n: int, digest: str, attempt: int = 1, **changes: object) -> CalibrationState:
        options = {"n_items": 1, "digest": digest} | changes
        stored = state(after(n), attempt, **options)  # type: ignore[arg-type]
        write_state(engine, stored, run_id)
        return stored

    return write


def publish(engine: sa.Engine, run_id: str, key: StateKey) -> int:
    return published(engine, run_id, partition=key[0], attempt=key[1]).version


def test_an_empty_database_has_nothing_stale(engine: sa.Engine) -> None:
    found = read_staleness(engine)
    assert (found.nights, found.current) == ((), None)
    assert found.describe() == ""


def test_a_superseded_parent_is_found_and_what_mends_it_is_said(
    engine: sa.Engine, run_id: str, write: Write
) -> None:
    write(0, "d0")
    write(1, "d1", parent=key(0))
    write(2, "d2", parent=key(1))
    assert publish(engine, run_id, key(2)) == 1
    assert read_staleness(engine).nights == ()
    write(0, "other", attempt=2)
    found = read_staleness(engine)
    assert [stale.night for stale in found.nights] == [after(1), after(2)]
    assert found.command == "calibrate backfill --from 2026-03-02"
    assert found.describe() == (
        "2 nights from 2026-03-02 to 2026-03-03 are stale: 2026-03-02 starts from 2026-03-01 as it "
        "was before it was run again; `current` stands at 2026-03-03, which is stale; "
        "`calibrate backfill --from 2026-03-02` rebuilds them"
    )
    assert found.describe(since=after(2)).startswith("2026-03-03 is stale: 2026-03-02 starts from")
    assert found.describe(since=after(3)) == ""
    assert [stale.night for stale in found.since(after(2))] == [after(2)]


def test_a_rejected_state_neither_is_stale_nor_makes_stale(write: Write, engine: sa.Engine) -> None:
    write(0, "d0")
    write(1, "d1", parent=key(0))
    write(0, "bad", attempt=2, is_accepted=False, reasons=("no",))
    write(2, "bad", parent=key(0), is_accepted=False, reasons=("no",))
    assert read_staleness(engine).nights == ()


def test_a_stale_night_whose_re_run_was_rejected_says_why_and_what_to_do(
    write: Write, engine: sa.Engine
) -> None:
    write(0, "d0")
    write(1, "d1", parent=key(0))
    write(2, "d2", parent=key(1))
    write(0, "other", attempt=2)
    assert read_staleness(engine).rejected_because == ""
    refused = {"is_accepted": False, "reasons": ("not converged", "sd " * 99)}
    write(1, "bad", attempt=2, parent=key(0, 2), **refused)
    found = read_staleness(engine)
    assert found.rejected_because.startswith("not converged; sd sd")
    assert found.rejected_because.endswith("sd …")
    assert len(found.rejected_because) <= 200
    described = replace(found, rejected_because="not converged").describe()
    assert described == (
        "2 nights from 2026-03-02 to 2026-03-03 are stale: 2026-03-02 starts from 2026-03-01 as it "
        "was before it was run again; running 2026-03-02 again was rejected (not converged); mend "
        "the settings, then `calibrate backfill --from 2026-03-02` rebuilds them, or mend the "
        "answers and add `--refresh`"
    )
    write(1, "new", attempt=3, parent=key(0, 2))
    found = read_staleness(engine)
    assert ([stale.night for stale in found.nights], found.rejected_because) == ([after(2)], "")


def test_a_try_that_was_rejected_before_its_night_became_stale_is_not_why(
    write: Write, engine: sa.Engine
) -> None:
    write(0, "d0")
    write(1, "d1", parent=key(0))
    write(1, "bad", attempt=2, parent=key(0), is_accepted=False, reasons=("no",))
    write(0, "other", attempt=2)
    found = read_staleness(engine)
    assert ([stale.night for stale in found.nights], found.rejected_because) == ([after(1)], "")


def test_a_version_of_a_state_that_was_superseded_is_stale_though_no_night_is(
    engine: sa.Engine, run_id: str, write: Write
) -> None:
    """The newest night was run again, and its new result failed the audit."""
    write(0, "d0")
    publish(engine, run_id, key(0))
    write(0, "d0", attempt=2)
    found = read_staleness(engine)
    assert found.current is not None
    assert found.current.stale_because == ""
    write(0, "other", attempt=3)
    found = read_staleness(engine)
    assert found.nights == ()
    assert found.current is not None
    assert found.current.stale_because == (
        "was run again since, and its new result was not published"
    )


def test_the_first_night_of_a_scale_without_anchors_is_read(
    engine: sa.Engine, write: Write
) -> None:
    free, _ = state().scales
    tied = replace(free, linking_slope=1.1, linking_intercept=0.2)
    write(0, "d0", scales=(free,))
    write(1, "d1", parent=key(0), scales=(tied,))
    write(2, "d2", parent=key(1), scales=(tied,))
    write(0, "other", attempt=2, scales=(free,))
    write(1, "d1", attempt=2, parent=key(0, 2), scales=(tied,))
    (stale,) = read_staleness(engine).nights
    assert stale.night == after(2)
    assert stale.reason.startswith("links scale zeta to its first night")


COPY_HEADERS = """
INSERT INTO calibration.calibration_states
  (partition, attempt, run_id, is_accepted, reasons, parent_partition, parent_attempt,
   bank_digest, anchor_digest, configuration_digest, digest)
SELECT partition + n, 1, run_id, true, '{}', partition + n - 1, 1, '', '', '', 'd' || n
FROM calibration.calibration_states, generate_series(1, 3000) AS n ORDER BY n;
INSERT INTO calibration.state_scales
SELECT (scales).* FROM (
  SELECT jsonb_populate_record(s, jsonb_build_object('partition', s.partition + n)) AS scales
  FROM calibration.state_scales AS s, generate_series(1, 3000) AS n
) AS copies
"""


def test_thousands_of_nights_are_read_in_a_few_statements(engine: sa.Engine, write: Write) -> None:
    write(0, "d0")
    with engine.begin() as connection:
        connection.execute(sa.text(COPY_HEADERS))
    write(0, "other", attempt=2)
    with statements_of(engine) as sent:
        assert len(read_staleness(engine).nights) == 3000
    assert 0 < len(sent) < 10


def test_a_version_that_carries_values_from_another_one_than_the_one_before_is_stale(
    engine: sa.Engine, run_id: str, write: Write
) -> None:
    """As after a crash between fit and publication: the later night alone was run again."""
    for night, parent in ((0, None), (1, key(0)), (2, key(1))):
        write(night, f"d{night}", parent=parent)
    old, new = snapshot_items(2), tuple(replace(i, difficulty=9.0) for i in snapshot_items(2))
    carried = tuple(replace(item, source="carried") for item in old)

    def publish_items(night: int, items: tuple[SnapshotItem, ...]) -> None:
        published(engine, run_id, items, partition=after(night))

    publish_items(0, old)
    publish_items(2, carried)
    assert read_staleness(engine).nights == ()
    publish_items(1, new)
    found = read_staleness(engine)
    assert [stale.night for stale in found.nights] == [after(2)]
    assert "carries values from before 2026-03-02 was published" in found.describe()
    publish_items(2, tuple(replace(item, source="carried") for item in new))
    assert read_staleness(engine).nights == ()
    publish_items(1, tuple(replace(item, window_count=7) for item in new))
    assert read_staleness(engine).nights == ()  # another version, but the values are the same


def test_an_item_that_would_have_values_or_trust_by_now_makes_its_version_stale(
    engine: sa.Engine, run_id: str, write: Write
) -> None:
    for night, parent in ((0, None), (1, key(0))):
        write(night, f"d{night}", parent=parent)
    item = replace(snapshot_items(1)[0], source="author", track="provisional")
    for later, earlier, is_stale in (
        (item, replace(item, source="fitted"), True),
        (item, item, False),
        (replace(item, source="fitted"), replace(item, track="trusted", source="fitted"), True),
        (replace(item, source="fitted"), replace(item, source="fitted"), False),
    ):
        published(engine, run_id, (replace(later, window_count=1),), partition=after(1))
        published(engine, run_id, (replace(earlier, window_count=2),), partition=after(0))
        assert bool(read_staleness(engine).nights) == is_stale
