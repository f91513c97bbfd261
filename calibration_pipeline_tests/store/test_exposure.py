"""Exposure controls round-trip, the newest attempt counts, and engines' counters add up."""

from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import SchemaRevisionError
from calibration_pipeline.records import ItemProposals, ScaleExposure
from calibration_pipeline.store import states
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.exposure import (
    read_attempts,
    read_exposure,
    read_proposals,
    write_exposure,
)
from calibration_pipeline.store.tables import exposure_control_items
from calibration_pipeline_tests.store.examples import (
    NIGHT,
    scale_exposure,
    snapshot_items,
    state,
)
from calibration_pipeline_tests.store.publishing import published

KEYS = tuple(item.key for item in snapshot_items())


@pytest.fixture
def versions(engine: sa.Engine, run_id: str) -> sa.Engine:
    """Two versions; the second one is current."""
    states.write_state(engine, state(), run_id)
    published(engine, run_id)
    published(engine, run_id, snapshot_items(5))
    return engine


def write(engine: sa.Engine, version: int, control: ScaleExposure) -> int:
    return write_exposure(engine, version, control, found_by="a test")


def same(found: ScaleExposure, written: ScaleExposure) -> bool:
    return all(
        np.array_equal(getattr(found, field.name), getattr(written, field.name))
        for field in fields(ScaleExposure)
        if field.name != "attempt"
    )


@pytest.mark.parametrize("cuts", [(), (-0.5, 1.0 / 3.0)])
def test_a_control_is_read_as_it_was_written(versions: sa.Engine, cuts: tuple[float, ...]) -> None:
    written = scale_exposure(KEYS, cuts=cuts, is_reached=False)
    assert read_exposure(versions, 1) == ()
    assert write(versions, 1, written) == 1
    (found,) = read_exposure(versions, 1)
    assert same(found, written)
    assert read_exposure(versions, 2) == ()


def test_the_newest_attempt_of_each_scale_counts(versions: sa.Engine) -> None:
    first, other = scale_exposure(KEYS), scale_exposure(KEYS[:1], scale="alpha")
    second = replace(first, probability=first.probability / 2.0, maximum_rate=0.1)
    assert [write(versions, 1, control) for control in (first, other, second)] == [1, 1, 2]
    alpha, main = read_exposure(versions, 1)
    assert same(alpha, other)
    assert same(main, second)
    assert [control.attempt for control in (alpha, main)] == [1, 2]


def test_earlier_attempts_can_be_read_too(versions: sa.Engine) -> None:
    first = scale_exposure(KEYS)
    for factor in (1.0, 0.5, 0.25):
        write(versions, 1, replace(first, probability=first.probability * factor))
    found = read_attempts(versions, 1, {1, 3, 8})
    assert [control.attempt for control in found] == [3, 1]
    assert same(found[1], first)
    assert read_attempts(versions, 1, ()) == ()


@pytest.mark.parametrize("is_copied", [True, False])
def test_a_stored_control_takes_no_further_rows(versions: sa.Engine, is_copied: bool) -> None:
    """What engines draw with stays what was judged, whoever inserts."""
    write(versions, 1, scale_exposure(KEYS, cuts=()))
    table = exposure_control_items
    with versions.begin() as connection:
        control_id = connection.scalar(sa.select(sa.func.max(table.c.control_id)))
    ghost = [control_id, "ghost", 1, 0, 0.5, 0.1, 0.1]

    def add() -> None:
        with versions.begin() as connection:
            if is_copied:
                copy_rows(connection, table, table.c.keys(), [ghost])
            else:
                connection.execute(sa.insert(table).values(ghost))

    with pytest.raises((sa.exc.IntegrityError, psycopg.Error), match="takes no further rows"):
        add()
    (found,) = read_exposure(versions, 1)
    assert len(found.keys) == len(KEYS)


def rows(engine: sa.Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_engines_see_the_newest_attempt_with_the_bounds_of_each_level(versions: sa.Engine) -> None:
    control = scale_exposure(KEYS[:1], cuts=(-0.5, 0.5))
    for version, factor in ((1, 1.0), (2, 0.5), (2, 0.25)):
        write(versions, version, replace(control, probability=control.probability * factor))
    columns = "version, item_id, level, theta_above, theta_up_to, probability"
    table = "FROM calibration.{} ORDER BY version, level"
    bounds = [(None, -0.5), (-0.5, 0.5), (0.5, None)]
    expected = [
        (version, KEYS[0][0], level, *bounds[level], factor * control.probability[level, 0])
        for version, factor in ((1, 1.0), (2, 0.25))
        for level in range(3)
    ]
    assert rows(versions, f"SELECT {columns} {table.format('published_exposure')}") == expected
    assert rows(versions, f"SELECT {columns} {table.format('current_exposure')}") == expected[3:]


def test_a_control_is_written_whole_or_not_at_all(versions: sa.Engine) -> None:
    impossible = scale_exposure(KEYS)
    impossible.probability[1, 1] = 1.5
    with pytest.raises(psycopg.errors.CheckViolation, match="probability_check"):
        write(versions, 1, impossible)
    assert read_exposure(versions, 1) == ()
    assert write(versions, 1, scale_exposure(KEYS)) == 1


def report(engine: sa.Engine, **changes: Any) -> None:
    row = {"report_id": "a", "day": NIGHT, "version": 1, "attempt": 1, "level": 0}
    row |= {"proposed": 10, "given": 3}
    row |= {"item_id": KEYS[0][0], "content_version": KEYS[0][1]} | changes
    statement = sa.text(
        f"INSERT INTO calibration.item_proposals ({', '.join(row)}) "  # noqa: S608 - a test's
        f"VALUES ({', '.join(':' + name for name in row)})"
    )
    with engine.begin() as connection:
        connection.execute(statement, row)


def test_reports_add_up_within_their_days(versions: sa.Engine) -> None:
    report(versions)
    report(versions, report_id="b", proposed=7, given=7)
    report(versions, report_id="b", level=1, proposed=1, given=0)
    report(versions, report_id="c", day=NIGHT + timedelta(days=1), proposed=5, given=5)
    report(versions, report_id="b", attempt=2, proposed=4, given=4)
    same_day = (
        ItemProposals(1, 1, KEYS[0], 0, 17, 10),
        ItemProposals(1, 1, KEYS[0], 1, 1, 0),
        ItemProposals(1, 2, KEYS[0], 0, 4, 4),
    )
    assert read_proposals(versions, NIGHT, NIGHT) == same_day
    (both, *_) = read_proposals(versions, NIGHT, NIGHT + timedelta(days=1))
    assert (both.proposed, both.given) == (22, 15)
    assert read_proposals(versions, date(2020, 1, 1), NIGHT - timedelta(days=1)) == ()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "item_proposals_pkey"),
        ({"report_id": "b", "given": 11}, "given_check"),
        ({"report_id": "b", "item_id": "nobody"}, "item_proposals_version_fkey"),
        ({"report_id": "b", "version": 9}, "item_proposals_version_fkey"),
    ],
)
def test_a_report_that_cannot_be_or_was_sent_before_is_refused(
    versions: sa.Engine, changes: dict[str, Any], complaint: str
) -> None:
    report(versions)
    with pytest.raises(sa.exc.IntegrityError, match=complaint):
        report(versions, **changes)
    assert len(read_proposals(versions, NIGHT, NIGHT)) == 1


def test_a_database_that_lacks_the_tables_is_said_to(database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(SchemaRevisionError, match="calibrate migrate"):
        read_exposure(engine, 1)
    engine.dispose()
