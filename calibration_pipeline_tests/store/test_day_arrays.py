"""What the log states beyond right and wrong, from real rows to the arrays of a day."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from calibration_pipeline.records import OUTCOMES
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.extraction import read_day
from calibration_pipeline.store.tables import archive_revisions
from calibration_pipeline_tests.store.answers import DAY, NOON, Extract, log, session

LATER = "2026-03-10T13:00:00+01:00"


def _each(rows: list[dict[str, Any]], **columns: list[Any]) -> list[dict[str, Any]]:
    return [row | {name: columns[name][n] for name in columns} for n, row in enumerate(rows)]


def test_a_log_that_states_nothing_more_gives_nothing_more(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", NOON))
    extract()
    day = read_day(engine, archive, DAY)
    assert day.outcome is day.time_on_task_ms is None
    assert day.starting_ability is day.population_group is None
    assert day.group_names == ()


def test_times_are_by_answer_and_unknown_ones_are_negative(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, _each(session("a", NOON), time_on_task_ms=[1500, None, -7]))
    extract()
    times = read_day(engine, archive, DAY).time_on_task_ms
    assert times is not None
    assert (times.tolist(), times.dtype) == ([1500, -1, -1], np.int32)


def test_the_start_of_a_session_is_that_of_its_first_item(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    rows = _each(session("a", NOON), theta_at_presentation=[0.25, 1.0, None])
    rows += _each(session("b", LATER), theta_at_presentation=[None, 1.0, 2.0])
    rows += session("c", LATER, "i1", theta_at_presentation=float("inf"))
    log(engine, rows[::-1])
    extract()
    starts = read_day(engine, archive, DAY).starting_ability
    assert starts is not None
    assert np.array_equal(starts, [0.25, np.nan, np.nan], equal_nan=True)


def test_groups_are_by_session_and_an_empty_name_is_none(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    for name, group in (("a", "north"), ("b", None), ("c", ""), ("d", "east"), ("e", "north")):
        log(engine, session(name, NOON, "i1 i2", population_group=group))
    extract()
    day = read_day(engine, archive, DAY)
    assert day.group_names == ("east", "north")
    assert day.population_group is not None
    assert (day.population_group.tolist(), day.population_group.dtype) == (
        [1, -1, -1, 0, 1],
        np.int32,
    )


def test_an_item_without_an_answer_needs_no_score_and_is_no_bad_row(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    rows = session("a", NOON, "i1 i2 i3 i10")
    log(engine, _each(rows, outcome=list(OUTCOMES), score=[1, None, None, 1]))
    revision = extract()
    assert (revision.response_count, revision.quarantine_counts) == (4, {})
    day = read_day(engine, archive, DAY)
    assert day.outcome is not None
    assert (day.outcome.tolist(), day.outcome.dtype) == ([0, 1, 2, 3], np.uint8)
    assert day.correct.tolist() == [1, 0, 0, 0]
    assert not day.outcome.flags.writeable


def test_an_outcome_that_nobody_knows_and_a_missing_score_are_bad_rows(
    engine: sa.Engine, extract: Extract
) -> None:
    log(engine, session("a", NOON, "i1", outcome="skipped"))
    log(engine, session("b", NOON, "i1", outcome="scored", score=None))
    log(engine, session("c", NOON, "i1", score=None))
    log(engine, session("d", NOON, "i1", outcome="omitted", score=2))
    assert extract().quarantine_counts == {
        "non_binary_score": 1,
        "null_score": 2,
        "unknown_outcome": 1,
    }


def test_scored_is_what_an_answer_is_anyway(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", NOON))
    unsaid = extract()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE calibration.response_log SET outcome = 'scored'"))
    assert extract(refresh=True) == unsaid
    assert read_day(engine, archive, DAY).outcome is None


def test_a_changed_outcome_is_noticed(engine: sa.Engine, extract: Extract) -> None:
    log(engine, session("a", NOON, outcome="omitted"))
    first = extract()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE calibration.response_log SET outcome = 'invalid'"))
    second = extract()
    assert second.revision == 2
    assert second.digest != first.digest


def test_a_file_from_before_there_were_outcomes_is_read(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", NOON))
    extract()
    with engine.connect() as connection:
        name = connection.scalar(sa.select(archive_revisions.c.file_name))
    path: Path = archive.location.path(name)
    pa.parquet.write_table(pa.parquet.read_table(path).drop_columns(["outcome"]), path)
    day = read_day(engine, archive, DAY)
    assert (day.correct.tolist(), day.outcome) == ([0, 1, 0], None)
    assert archive.read(name)["outcome"].null_count == 3


@pytest.mark.parametrize("group", ["Zürich", "a, returning", "x" * 300])
def test_any_text_can_name_a_group(
    engine: sa.Engine, archive: Archive, extract: Extract, group: str
) -> None:
    log(engine, session("a", NOON, population_group=group))
    extract()
    assert read_day(engine, archive, DAY).group_names == (group,)
