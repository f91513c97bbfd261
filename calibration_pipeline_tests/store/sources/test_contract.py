"""What every source of answers does, on the real thing: each test runs on all of them."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.records import DayRevision
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.extraction import changed_days, extract_day
from calibration_pipeline.store.quarantine import REASONS
from calibration_pipeline.store.sources.base import (
    ROW_REASONS,
    ResponseSource,
    day_bounds,
    reading_again,
)
from calibration_pipeline.store.sources.choosing import choose_source
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.store.answers import DAY, KEY, ZURICH
from calibration_pipeline_tests.store.sources.contract_answers import Answer, Filler, sitting
from calibration_pipeline_tests.store.sources.exploration import examples
from calibration_pipeline_tests.store.sources.fillers_files import FILLERS as FILE_FILLERS
from calibration_pipeline_tests.store.sources.fillers_files import CsvFiller
from calibration_pipeline_tests.store.sources.fillers_sql import (
    SQL_FILLERS,
    AttemptFiller,
    DiagnosticFiller,
    ExamResultsFiller,
)

EVE, MORROW = DAY - timedelta(days=1), DAY + timedelta(days=1)
USUAL = [AttemptFiller, ExamResultsFiller, DiagnosticFiller, CsvFiller]
"""Rows and documents, with sessions and without, and files; the rest is in `make test-slow`."""
FILLERS: list[Any] = [
    *USUAL,
    *(
        pytest.param(filler, marks=pytest.mark.slow)
        for filler in (*SQL_FILLERS, *FILE_FILLERS)
        if filler not in USUAL
    ),
]


@dataclass
class Site:
    """A store, and a source that is filled."""

    engine: sa.Engine
    home: Path
    filler: Filler

    def source(self, **changes: Any) -> ResponseSource:
        return choose_source(self.filler.configuration(**changes), self.home)

    def rows(self, day: date = DAY, **changes: Any) -> list[dict[str, Any]]:
        source = self.source(**changes)
        with self.engine.connect() as connection, source.view(connection, ZURICH) as view:
            blocks = reading_again(lambda: list(view.stream_day(day)))
            return [row for block in blocks for row in block.to_pylist()]

    def extract(self, day: date = DAY, *, archive: str = "archive", **changes: Any) -> DayRevision:
        place = Archive(self.home / archive)
        source = self.source(**changes)
        return extract_day(self.engine, place, day, ZURICH, KEY, archive != "archive", None, source)

    def changed(self, first: date = DAY, last: date = DAY) -> list[date]:
        place = Archive(self.home / "archive")
        return changed_days(self.engine, place, first, last, ZURICH, self.source())


@pytest.fixture(params=FILLERS)
def site(
    request: pytest.FixtureRequest,
    engine: sa.Engine,
    bank_csv: Path,
    source_url: str,
    tmp_path: Path,
) -> Site:
    import_bank(engine, bank_csv, "3PL")
    if request.param in FILE_FILLERS:
        return Site(engine, tmp_path / "home", request.param(tmp_path / "answers"))
    with connect(source_url) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return Site(engine, tmp_path / "home", request.param(source_url))


def reasons(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(ROW_REASONS[row["reason"] - 1] if row["reason"] else "" for row in rows)


def sessions(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Each session: its candidate, and its items in order."""
    items: dict[tuple[str, datetime], tuple[str, list[str]]] = {}
    for row in rows:
        key = (row["session_id"], row["session_started_at"])
        items.setdefault(key, (row["candidate_id"], []))[1].append(row["item_id"])
    return {(candidate, " ".join(names)) for candidate, names in items.values()}


def test_answers_come_as_they_were_given(site: Site) -> None:
    site.filler.fill([*sitting("ann"), *sitting("bob", items="i10 i1")])
    rows = site.rows()
    assert sessions(rows) == {("ann", "i1 i2 i3"), ("bob", "i10 i1")}
    assert [row["score"] for row in rows if row["candidate_id"] == "ann"] == [0, 1, 0]
    noon = datetime(2026, 3, 10, 11, tzinfo=UTC)
    moments = [noon + timedelta(seconds=30 * n) for n in range(3)]
    assert [row["answered_at"] for row in rows if row["candidate_id"] == "ann"] == moments
    assert {row["session_started_at"] for row in rows} == {noon}
    assert {row["content_version"] for row in rows} == {1}
    assert reasons(rows) == {"": 5}


def test_two_sittings_of_a_candidate_are_two_sessions(site: Site) -> None:
    later = sitting("ann", "2026-03-10T17:00:00+00:00", items="i10 i2")
    site.filler.fill([*sitting("ann"), *later])
    assert sessions(site.rows()) == {("ann", "i1 i2 i3"), ("ann", "i10 i2")}


def test_a_session_across_midnight_belongs_to_the_day_on_which_it_began(site: Site) -> None:
    site.filler.fill(sitting("ann", "2026-03-09T23:59:15+01:00"))
    assert len(site.rows(EVE)) == 3
    assert site.rows(DAY) == []
    assert (site.extract(EVE).response_count, site.extract(DAY).response_count) == (3, 0)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_days_on_which_the_clocks_change(site: Site, day: date) -> None:
    first, last = day_bounds([day], ZURICH)
    moments = {"before": first, "first": first, "last": last, "after": last}
    shift = {"before": -600, "first": 0, "last": -600, "after": 0}
    starts = {n: (m.astimezone(UTC) + timedelta(seconds=shift[n])) for n, m in moments.items()}
    answers = [a for name, start in starts.items() for a in sitting(name, start.isoformat())]
    site.filler.fill(answers)
    assert {row["candidate_id"] for row in site.rows(day)} == {"first", "last"}


def test_answer_codes(site: Site) -> None:
    spelled = {"R": "right", "W": "wrong", "9": "omitted", "8": "not_reached", "X": "invalid"}
    answers = [
        replace(answer, code=code)
        for answer, code in zip(sitting("ann", items="i1 i2 i3 i10 i1"), spelled, strict=True)
    ]
    if not all(map(site.filler.can_hold, answers)):
        pytest.skip("the source's column holds right and wrong alone")
    site.filler.fill(answers)
    rows = site.rows(codes=spelled)
    assert [(row["score"], row["outcome"]) for row in rows] == [
        (1, None), (0, None), (None, "omitted"), (None, "not_reached"), (None, "invalid"),
    ]  # fmt: skip
    assert reasons(site.rows()) == {"non_binary_score": 5}


BAD = {
    "unknown_item": {"item_id": "i99"},
    "null_score": {"code": None},
    "non_binary_score": {"code": "7"},
    "naive_timestamp": {"answered_at": "2026-03-10T11:00:30"},
    "unreadable_timestamp": {"answered_at": "half past eleven"},
    "missing_timestamp": {"answered_at": None},
    "missing_id": {"candidate_id": None},
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_row_is_quarantined_with_its_session(site: Site, reason: str) -> None:
    first, second, third = sitting("ann")
    bad = replace(second, **BAD[reason])
    if not site.filler.can_hold(bad):
        pytest.skip("the source's columns can't hold such a row")
    site.filler.fill([first, bad, third, *sitting("bob")])
    found = site.extract()
    left_out = dict(found.quarantine_counts)
    assert left_out.pop(reason) == 1
    if reason == "missing_id" and not site.filler.has_sessions:
        assert left_out == {}  # whose answer it was nobody knows
        assert found.response_count == 5
    else:
        assert left_out == {"session_incomplete": 2}
        assert found.response_count == 3


def test_naive_times_in_the_zone_that_is_set(site: Site) -> None:
    naive = [
        replace(a, answered_at=a.answered_at[:19] if a.answered_at else None)
        for a in sitting("ann")
    ]
    if not all(map(site.filler.can_hold, naive)):
        pytest.skip("the source's column states an offset")
    site.filler.fill(naive)
    rows = site.rows(naive_timezone="Europe/Zurich")
    assert rows[0]["answered_at"] == datetime(2026, 3, 10, 10, tzinfo=UTC)
    assert reasons(rows) == {"": 3}


def test_an_answer_that_is_there_twice_counts_once(site: Site) -> None:
    site.filler.fill([*sitting("ann"), sitting("ann")[1], *sitting("bob")])
    found = site.extract()
    assert (found.response_count, found.quarantine_counts) == (6, {"duplicate": 1})


def test_two_answers_to_one_item_leave_the_session_out(site: Site) -> None:
    first, *_ = sitting("ann")
    site.filler.fill([*sitting("ann"), replace(first, code="1"), *sitting("bob")])
    found = site.extract()
    expected = {"conflicting_duplicate": 1, "session_incomplete": 3}
    assert (found.response_count, found.quarantine_counts) == (3, expected)


def test_a_day_is_extracted_again_exactly_when_it_has_changed(site: Site) -> None:
    answers = [*sitting("ann"), *sitting("bob")]
    site.filler.fill(answers)
    assert site.changed() == [DAY]
    first = site.extract()
    assert site.changed() == []
    assert site.extract() == first
    late = sitting("cy", "2026-03-10T21:00:00+00:00")
    corrected = [replace(answers[0], code="1"), *answers[1:]]
    for number, now in enumerate(([*answers, *late], corrected, answers[3:]), start=2):
        site.filler.fill(now)
        assert site.changed() == [DAY]
        assert site.extract().revision == number
        assert site.changed() == []
    site.filler.fill(answers)
    assert site.extract().digest == first.digest


def test_an_item_that_is_imported_later_changes_its_days(site: Site, tmp_path: Path) -> None:
    site.filler.fill([*sitting("ann"), *sitting("bob", items="i1 i77 i2")])
    before = site.extract()
    assert before.quarantine_counts == {"session_incomplete": 2, "unknown_item": 1}
    assert site.changed() == []
    more = tmp_path / "more.csv"
    more.write_text("item_id,discrimination,difficulty,guessing\ni77,1.0,0.0,0.2\n")
    import_bank(site.engine, more, "3PL")
    assert site.changed() == [DAY]
    assert (site.extract().response_count, site.extract().quarantine_counts) == (6, {})


def test_a_session_that_ended_after_midnight_is_read_again_when_its_end_changes(
    site: Site,
) -> None:
    answers = sitting("ann", "2026-03-10T23:59:15+01:00")
    site.filler.fill(answers[:2])
    assert site.extract().response_count == 2
    site.filler.fill(answers)
    assert site.changed() == [DAY]
    assert site.extract().response_count == 3


def test_the_order_of_the_source_does_not_matter(site: Site) -> None:
    answers = [a for name in ("cy", "ann", "bob") for a in sitting(name)]
    site.filler.fill(answers)
    found = site.extract()
    site.filler.fill(answers[::-1])
    again = site.extract(archive="elsewhere")
    assert (again.digest, again.revision) == (found.digest, found.revision)


def test_a_setting_that_is_corrected_changes_the_days_that_it_is_about(site: Site) -> None:
    answers = [*sitting("ann"), *sitting("ann", "2026-03-10T11:45:00+00:00", items="i10")]
    site.filler.fill(answers)
    before = site.extract()
    wider = {"session_gap_minutes": 200, "codes": {"Z": "right"}}
    place = Archive(site.home / "archive")
    source = site.source(**wider)
    assert changed_days(site.engine, place, DAY, DAY, ZURICH, source) == [DAY]
    after = site.extract(**wider)
    stated = site.filler.has_sessions
    assert (before.session_count, after.session_count) == (2, 2 if stated else 1)


def test_a_source_that_has_lost_a_day_stops_the_night(site: Site) -> None:
    site.filler.fill(sitting("ann"))
    first = site.extract()
    site.filler.fill(sitting("ann", "2026-03-20T11:00:00+00:00"))
    with pytest.raises(
        NightBlockedError, match=f"has no answers of {DAY}, of which 3 are archived"
    ):
        site.extract()
    place = Archive(site.home / "archive")
    gone = extract_day(site.engine, place, DAY, ZURICH, KEY, refresh=True, source=site.source())
    assert (gone.revision, gone.response_count) == (first.revision + 1, 0)


def test_a_source_without_answers(site: Site) -> None:
    site.filler.fill([])
    assert site.changed() == []
    assert site.rows() == []
    assert site.extract().response_count == 0


HOSTILE = st.one_of(
    st.none(),
    st.sampled_from(
        ["", " ", "i1", "'; DROP TABLE items; --", "a\tb\nc", "\\N", "\\.", '"', "0", "ß🙂"]
    ),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=12),
)
ANSWERS = st.builds(
    Answer,
    candidate_id=st.one_of(st.sampled_from(["ann", "bob"]), HOSTILE),
    item_id=st.one_of(st.sampled_from(["i1", "i2", "i3", "i10"]), HOSTILE),
    code=st.one_of(st.sampled_from(["0", "1", "true", "false"]), HOSTILE),
    answered_at=st.one_of(
        st.integers(0, 86_399).map(
            lambda s: (datetime(2026, 3, 9, 23, tzinfo=UTC) + timedelta(seconds=s)).isoformat()
        ),
        st.sampled_from(["2026-03-10T12:00:00", "2026-03-10", "infinity", "24:00", "9999-99-99"]),
        HOSTILE,
    ),
    session_id=st.one_of(st.sampled_from(["s1", "s2"]), HOSTILE),
)


@examples(4)
@given(answers=st.lists(ANSWERS, max_size=20))
def test_whatever_a_source_holds_is_kept_or_quarantined(site: Site, answers: list[Answer]) -> None:
    """No row stops the extraction, none is lost, and all that is kept is sound."""
    held = [answer for answer in answers if site.filler.can_hold(answer)]
    site.filler.fill([*held, *sitting("sound", "2026-03-10T10:00:00+00:00", items="i3 i2")])
    rows = site.rows()
    for row in rows:
        if row["reason"] == 0:
            assert row["item_id"] in {"i1", "i2", "i3", "i10"}
            assert row["score"] in (0, 1) or row["outcome"] in ("omitted", "not_reached", "invalid")
            assert row["candidate_id"]
            assert row["answered_at"] is not None
    assert {"i3", "i2"} <= {row["item_id"] for row in rows if row["candidate_id"] == "sound"}
    found = site.extract(archive="hostile")
    assert found.response_count + sum(found.quarantine_counts.values()) == len(rows)
    assert set(found.quarantine_counts) <= set(REASONS)
    assert found.response_count >= 2
