"""What was left out of a day can be read back, and names nobody."""

from dataclasses import astuple, replace
from datetime import UTC, date, timedelta

import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_format import PSEUDONYM, QUARANTINE_SCHEMA
from calibration_pipeline.store.extraction import DayExtraction, newest_revisions
from calibration_pipeline.store.pseudonyms import pseudonyms_of
from calibration_pipeline.store.quarantine_reading import (
    DELETED,
    NOT_EXTRACTED,
    QuarantinedRow,
    newest_archived_day,
    quarantined_days,
    read_counts,
    read_examples,
)
from calibration_pipeline.store.revisions import insert_revision
from calibration_pipeline.store.sources.base import ROW_REASONS, ROW_SCHEMA
from calibration_pipeline.store.tables import archive_revisions, retention_runs
from calibration_pipeline_tests.store.answers import DAY, KEY, NOON, Extract, log, moment, session


def log_bad_day(engine: sa.Engine) -> None:
    """A good session, one of an unknown item, and one without scores."""
    log(engine, session("good", NOON))
    log(engine, session("strange", NOON, items="i1 who i3", candidate="ann"))
    log(engine, session("mute", NOON, score=None))


def test_counts_and_examples_of_a_day(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log_bad_day(engine)
    revision = extract()
    (found,) = quarantined_days(engine, [DAY])
    assert found.revision == revision
    counts = {"null_score": 3, "session_incomplete": 2, "unknown_item": 1}
    assert revision.quarantine_counts == counts == read_counts(engine, DAY, revision.revision)
    examples = read_examples(engine, archive, [revision], per_reason=2)
    assert [row.reason for row in examples].count("null_score") == 2
    assert len(examples) == 5
    (strange,) = [row for row in examples if row.reason == "unknown_item"]
    (of_session,) = pseudonyms_of(KEY, "session", ["strange"])
    (of_ann,) = pseudonyms_of(KEY, "candidate", ["ann"])
    assert strange == QuarantinedRow(
        DAY, "unknown_item", of_session.hex()[:8], of_ann.hex()[:8], "who", 1,
        (moment(NOON) + timedelta(seconds=30)).astimezone(UTC), 1, None,
    )  # fmt: skip


def test_no_raw_id_is_among_the_examples(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log_bad_day(engine)
    shown = str([astuple(row) for row in read_examples(engine, archive, [extract()])])
    assert "strange" not in shown
    assert "ann" not in shown
    assert "person" not in shown


def test_one_reason_of_several_days_the_first_named_first(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log_bad_day(engine)
    log(engine, session("mute too", "2026-03-11T12:00:00+01:00", score=None))
    older, newer = extract(), extract(DAY + timedelta(days=1))
    found = read_examples(engine, archive, [newer, older], 4, {"null_score"})
    assert [row.day for row in found] == [newer.day] * 3 + [older.day]
    assert {row.reason for row in found} == {"null_score"}
    assert read_examples(engine, archive, [newer, older], 0) == ()


def test_days_without_an_extraction_and_deleted_ones_are_said_to_be(
    engine: sa.Engine, extract: Extract
) -> None:
    assert newest_archived_day(engine) is None
    extract()
    assert newest_archived_day(engine) == DAY
    with engine.begin() as connection:
        cut = DAY + timedelta(days=1)
        connection.execute(sa.insert(retention_runs).values(deleted_before=cut, counts={}))
    later = DAY + timedelta(days=5)
    assert [found.missing for found in quarantined_days(engine, [DAY, later])] == [
        DELETED,
        NOT_EXTRACTED,
    ]


def test_an_extraction_that_is_not_recorded_has_no_examples(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    """As in a dry run."""
    log_bad_day(engine)
    revision = extract()
    assert read_examples(engine, archive, [replace(revision, revision=9)]) == ()
    assert read_examples(engine, archive, [replace(revision, digest="other")]) == ()


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_file_that_cannot_be_read_is_named(
    engine: sa.Engine, archive: Archive, extract: Extract, is_gone: bool
) -> None:
    log_bad_day(engine)
    revision = extract()
    path = archive.location.path(quarantine_file(engine))
    path.unlink() if is_gone else path.write_bytes(b"no Parquet")
    with pytest.raises(NightBlockedError, match=r"quarantine\.parquet can't be read") as caught:
        read_examples(engine, archive, [revision])
    assert "\n" not in str(caught.value)


def quarantine_file(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(sa.select(archive_revisions.c.quarantine_file_name)))


def test_rows_may_lack_ids_and_times(engine: sa.Engine, archive: Archive) -> None:
    """Readers of other systems find such rows; our own log can't hold them."""
    row = dict.fromkeys(ROW_SCHEMA.names) | {
        "reason": ROW_REASONS.index("missing_timestamp") + 1,
        "session_id": "s",
        "session_started_at": moment(NOON),
    }
    with archive.write_day(DAY) as writer, engine.begin() as connection:
        extraction = DayExtraction(writer, KEY)
        extraction.add(pa.Table.from_pylist([row], schema=ROW_SCHEMA))
        insert_revision(connection, writer, replace(extraction.revision(DAY), revision=1), "UTC")
    (example,) = read_examples(engine, archive, [newest_revisions(engine, [DAY])[DAY]])
    assert (example.candidate, example.item_id, example.answered_at) == (None, None, None)
    assert (example.item_text, example.result_text) == ("–", "–")


def test_who_was_erased_is_left_out_beside_rows_that_name_nobody(archive: Archive) -> None:
    bare = dict.fromkeys(ROW_SCHEMA.names) | {"session_started_at": moment(NOON)}
    missing = {"reason": ROW_REASONS.index("missing_id") + 1}
    rows = [
        bare | missing | {"session_id": "s"},
        bare | {"reason": 0, "session_id": "t", "candidate_id": "ann", "item_id": "i1"},
    ]
    erased = pseudonyms_of(KEY, "candidate", ["ann"])
    with archive.write_day(DAY) as writer:
        extraction = DayExtraction(writer, KEY, erased)
        extraction.add(pa.Table.from_pylist(rows, schema=ROW_SCHEMA))
        assert extraction.revision(DAY).quarantine_counts == {"missing_id": 1}
        assert extraction.erased_sessions == 1
        assert set(extraction.candidates) == set()


def test_files_from_before_there_were_outcomes_and_rows_that_lack_ids(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log_bad_day(engine)
    revision = extract()
    before = read_examples(engine, archive, [revision])
    name = quarantine_file(engine)
    old = pa.schema(
        [
            field.with_nullable(field.name in ("score", "position", "option_selected"))
            for field in QUARANTINE_SCHEMA
            if field.name != "outcome"
        ]
    )
    columns = [field.name for field in old]
    rows = archive.read(name).select(columns)
    for nullable in ("time_on_task_ms", "theta_at_presentation", "population_group",
                     "engine_version"):  # fmt: skip
        place = old.get_field_index(nullable)
        old = old.set(place, old.field(place).with_nullable(True))
    pa.parquet.write_table(rows.cast(old), archive.location.path(name))
    assert read_examples(engine, archive, [revision]) == before
    assert archive.read(name).num_rows == 6


@pytest.mark.parametrize(
    ("item", "version", "text"),
    [
        ("i1", 1, "i1"),
        ("i1", 3, "i1 (v3)"),
        ("i1", None, "i1"),
        ("a\nb\x00", 1, "a�b�"),
        ("x" * 99, 1, "x" * 39 + "…"),
    ],
)
def test_a_sources_own_text_can_be_shown(item: str, version: int | None, text: str) -> None:
    row = QuarantinedRow(date(2026, 1, 1), "r", None, None, item, version, None, 7, "lost")
    assert row.item_text == text
    assert row.result_text == "7, lost"


def test_pseudonyms_may_be_null_in_the_quarantine_alone() -> None:
    assert all(
        QUARANTINE_SCHEMA.field(name).nullable == (name != "reason")
        for name in QUARANTINE_SCHEMA.names
    )
    assert QUARANTINE_SCHEMA.field("candidate_pseudonym").type == PSEUDONYM
