"""Text into rows, and rows into sessions: what all sources have in common."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.store.sources.base import ROW_REASONS, ROW_SCHEMA, day_bounds
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.normalising import (
    BANK_SCHEMA,
    LONGEST_GAP,
    LONGEST_SESSION,
    Normaliser,
)
from calibration_pipeline.store.sources.raw import RAW_COLUMNS, RAW_SCHEMA
from calibration_pipeline.store.sources.scratch import scratch_database
from calibration_pipeline_tests.store.sources.exploration import examples

ONE_DAY = timedelta(days=1)
ZURICH = ZoneInfo("Europe/Zurich")
DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO, FAR_OFF = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
EDITED = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
BANK = pa.Table.from_pylist(
    [
        {"item_id": item, "content_version": version, "valid_from": first, "valid_to": last}
        for item, version, first, last in (
            ("i1", 1, LONG_AGO, FAR_OFF),
            ("i2", 1, LONG_AGO, FAR_OFF),
            ("edited", 1, LONG_AGO, EDITED),
            ("edited", 2, EDITED, FAR_OFF),
        )
    ],
    BANK_SCHEMA,
)


def raw(**values: Any) -> dict[str, Any]:
    usual = {"candidate_id": "ann", "item_id": "i1", "code": "1", "answered_at": NOON.isoformat()}
    return dict.fromkeys(RAW_COLUMNS) | {"dated_at": NOON.isoformat()} | usual | values


def answered(moment: datetime, **values: Any) -> dict[str, Any]:
    return raw(answered_at=moment.isoformat(), dated_at=None, **values)


def rows_of(
    tmp_path: Path, *rows: dict[str, Any], day: date = DAY, **configuration: Any
) -> list[dict[str, Any]]:
    with scratch_database(tmp_path / "scratch") as connection:
        now = datetime(2026, 3, 20, tzinfo=UTC)
        normaliser = Normaliser(connection, SourceConfiguration(**configuration), BANK, now)
        normaliser.add(pa.Table.from_pylist(list(rows), RAW_SCHEMA))
        blocks = list(normaliser.sessions_of(*day_bounds([day], ZURICH)))
    assert all(block.schema == ROW_SCHEMA for block in blocks)
    return [row for block in blocks for row in block.to_pylist()]


def reasons(rows: list[dict[str, Any]]) -> list[str]:
    return [ROW_REASONS[row["reason"] - 1] if row["reason"] else "" for row in rows]


TIMES = {
    "2026-03-10T12:00:00+00:00": NOON,
    "2026-03-10 12:00:00+00": NOON,
    "2026-03-10T12:00:00Z": NOON,
    "2026-03-10T12:00:00.000Z": NOON,
    "2026-03-10T13:00:00+0100": NOON,
    "2026-03-10 17:45:00+05:45": NOON,
    "2026-03-10T06:00:00.25-06:00": NOON + timedelta(milliseconds=250),
}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"answered_at": None}, "missing_timestamp"),
    ({"answered_at": ""}, "missing_timestamp"),
    ({"answered_at": "2026-03-10T12:00:00"}, "naive_timestamp"),
    ({"answered_at": "2026-03-10"}, "naive_timestamp"),
    ({"answered_at": "yesterday"}, "unreadable_timestamp"),
    ({"answered_at": "infinity"}, "unreadable_timestamp"),
    ({"answered_at": "2026-02-30T12:00:00+00:00"}, "unreadable_timestamp"),
    ({"logged_at": "2026-03-10T11:54:00+00:00"}, "future_timestamp"),
    ({"session_started_at": "soon"}, "unreadable_timestamp"),
    ({"candidate_id": None}, "missing_id"),
    ({"candidate_id": ""}, "missing_id"),
    ({"item_id": None}, "missing_id"),
    ({"item_id": "i1\0"}, "malformed_answer"),
    ({"population_group": "A\0B"}, "malformed_answer"),
    ({"answered_at": "58158-01-01T00:00:00+00:00"}, "unreadable_timestamp"),
    ({"code": "omitted", "logged_at": "2026-03-10T11:54:00+00:00"}, "future_timestamp"),
    ({"problem": "malformed_answer"}, "malformed_answer"),
    ({"item_id": "i9"}, "unknown_item"),
    ({"item_id": "i1", "content_version": "2"}, "unknown_item"),
    ({"item_id": "i1", "content_version": "one"}, "unknown_item"),
    ({"code": None}, "null_score"),
    ({"code": "  "}, "null_score"),
    ({"code": "2"}, "non_binary_score"),
    ({"code": "0.5"}, "non_binary_score"),
    ({"outcome": "abandoned"}, "unknown_outcome"),
]
CODES: dict[str, tuple[int | None, str | None]] = {
    **dict.fromkeys(("1", "1.0", "true", "TRUE", " t ", "Correct", "A"), (1, None)),
    **dict.fromkeys(("0", "false", "wrong", "F"), (0, None)),
    "omitted": (None, "omitted"),
    "skipped": (None, "omitted"),
    "not_reached": (None, "not_reached"),
    "9": (None, "not_reached"),
    "void": (None, "invalid"),
}


def test_times_with_an_offset_are_read(tmp_path: Path) -> None:
    found = rows_of(tmp_path, *(raw(candidate_id=text, answered_at=text) for text in TIMES))
    assert {row["candidate_id"]: row["answered_at"] for row in found} == TIMES
    assert set(reasons(found)) == {""}


def test_what_is_wrong_with_a_row_is_named(tmp_path: Path) -> None:
    rows = [
        row
        for n, (changes, _) in enumerate(WRONG)
        # A good row beside each: it stays good here, and its session is left out later.
        for row in (raw(session_id=f"s{n}", item_id="i2"), raw(session_id=f"s{n}") | changes)
    ]
    found = rows_of(tmp_path, *rows)
    named = {
        row["session_id"].partition("@")[0]: reason
        for row, reason in zip(found, reasons(found), strict=True)
        if reason
    }
    assert named == {f"s{n}": reason for n, (_, reason) in enumerate(WRONG)}
    assert len(found) == len(rows)


def test_answer_codes(tmp_path: Path) -> None:
    own = {"a": "right", "9": "not_reached", "VOID": "invalid"}
    found = rows_of(tmp_path, *(raw(candidate_id=c, code=c) for c in CODES), codes=own)
    assert {row["candidate_id"]: (row["score"], row["outcome"]) for row in found} == CODES
    assert set(reasons(found)) == {""}


def test_an_own_meaning_goes_before_the_usual_one(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, raw(code="1"), codes={"1": "wrong"})
    assert row["score"] == 0


def test_an_outcome_beside_the_score(tmp_path: Path) -> None:
    (scored, omitted) = rows_of(
        tmp_path, raw(outcome="scored"), raw(item_id="i2", code=None, outcome="Omitted")
    )
    assert (scored["reason"], scored["score"], scored["outcome"]) == (0, 1, None)
    assert (omitted["reason"], omitted["score"], omitted["outcome"]) == (0, None, "omitted")


def test_naive_times_are_read_in_the_zone_that_is_set(tmp_path: Path) -> None:
    rows = [raw(answered_at="2026-03-10 13:00:00"), raw(answered_at="2026-03-10T12:00:00Z")]
    found = rows_of(tmp_path, *rows, naive_timezone="Europe/Zurich")
    assert [row["answered_at"] for row in found] == [NOON, NOON]
    assert reasons(found) == ["", ""]


def test_clocks_may_run_ahead_a_little(tmp_path: Path) -> None:
    logged = NOON - timedelta(minutes=4)
    (row,) = rows_of(tmp_path, raw(logged_at=logged.isoformat()))
    assert row["reason"] == 0
    (row,) = rows_of(tmp_path, raw(logged_at=(logged - timedelta(minutes=2)).isoformat()))
    assert reasons([row]) == ["future_timestamp"]


def test_an_answer_is_one_to_the_version_of_its_time(tmp_path: Path) -> None:
    found = rows_of(
        tmp_path,
        answered(EDITED - timedelta(seconds=1), item_id="edited"),
        answered(EDITED, item_id="edited"),
        answered(EDITED + timedelta(minutes=1), item_id="edited", content_version="1"),
    )
    assert [row["content_version"] for row in found] == [1, 2, 1]


def test_what_cannot_be_read_of_the_rest_is_absent(tmp_path: Path) -> None:
    (row,) = rows_of(
        tmp_path,
        raw(position="first", time_on_task_ms="1e99", theta_at_presentation="NaN"),
    )
    assert (row["reason"], row["position"], row["time_on_task_ms"]) == (0, None, None)
    assert row["theta_at_presentation"] is None
    (row,) = rows_of(
        tmp_path, raw(position="3", time_on_task_ms="1500.0", theta_at_presentation="-0.5")
    )
    assert (row["position"], row["time_on_task_ms"]) == (3, 1500)
    assert row["theta_at_presentation"] == -0.5


def seen_by_day(
    tmp_path: Path, rows: list[dict[str, Any]], days: int
) -> list[list[dict[str, Any]]]:
    """What each of some days gives, from the day before `DAY` on: it is shown three days."""
    found = []
    for n in range(-1, days - 1):
        day = DAY + timedelta(days=n)
        first, *_, last = day_bounds([day - ONE_DAY, day, day + ONE_DAY], ZURICH)
        shown = [row for row in rows if first <= datetime.fromisoformat(placed(row)) < last]
        found.append(rows_of(tmp_path, *shown, day=day))
    return found


def placed(row: dict[str, Any]) -> str:
    return str(row["dated_at"] or row["answered_at"])


MINUTES = st.one_of(
    st.integers(0, 5 * 24 * 60), st.sampled_from([0, 1439, 1440, 1441, 2880, 4319, 4320])
)
HOSTILE_ROWS = st.builds(
    lambda minute, candidate, session, start, code: answered(
        datetime(2026, 3, 8, 23, tzinfo=UTC) + timedelta(minutes=minute),
        candidate_id=candidate,
        session_id=session,
        session_started_at=None
        if start is None
        else (datetime(2026, 3, 8, 23, tzinfo=UTC) + timedelta(minutes=start)).isoformat(),
        code=code,
    ),
    MINUTES,
    st.sampled_from(["ann", "ann", "bob", "", None]),
    st.sampled_from([None, None, "s1", "s2"]),
    st.one_of(st.none(), MINUTES),
    st.sampled_from(["0", "1", "2", None]),
)


@examples(6)
@given(
    rows=st.lists(HOSTILE_ROWS, max_size=12),
    steps=st.lists(st.sampled_from([5, 29, 30, 239, 600]), max_size=60),
)
def test_every_row_is_given_on_exactly_one_day(
    tmp_path: Path, rows: list[dict[str, Any]], steps: list[int]
) -> None:
    """However long its session, whatever it states, and from whichever day it is looked at."""
    moment = datetime(2026, 3, 9, 20, tzinfo=UTC)
    for step in steps:  # somebody who goes on and on
        moment += timedelta(minutes=step)
        rows.append(answered(moment, candidate_id="cy"))
    tagged = [row | {"option_selected": str(n)} for n, row in enumerate(rows)]
    span = (datetime.fromisoformat(placed(tagged[-1])) - NOON).days + 8 if tagged else 8
    found = [row for day in seen_by_day(tmp_path, tagged, days=span) for row in day]
    assert sorted(int(row["option_selected"]) for row in found) == list(range(len(tagged)))


class TestSessions:
    """Which answers belong together, and to which day."""

    def test_a_pause_ends_a_session(self, tmp_path: Path) -> None:
        minutes = [0, 30, 60, 91, 92]
        found = rows_of(tmp_path, *(answered(NOON + timedelta(minutes=m)) for m in minutes))
        starts = [row["session_started_at"] for row in found]
        assert starts == [NOON] * 3 + [NOON + timedelta(minutes=91)] * 2
        assert len({row["session_id"] for row in found}) == 2
        found = rows_of(
            tmp_path,
            *(answered(NOON + timedelta(minutes=m)) for m in minutes),
            session_gap_minutes=31,
        )
        assert {row["session_started_at"] for row in found} == {NOON}

    def test_candidates_are_kept_apart(self, tmp_path: Path) -> None:
        found = rows_of(tmp_path, answered(NOON), answered(NOON, candidate_id="bob"))
        assert len({row["session_id"] for row in found}) == 2

    def test_answers_of_one_moment_are_in_one_session(self, tmp_path: Path) -> None:
        moments = [NOON, NOON + timedelta(hours=2)]
        rows = [answered(m, item_id=item) for m in moments for item in ("i1", "i2")]
        found = rows_of(tmp_path, *rows)
        assert [row["session_started_at"] for row in found] == [m for m in moments for _ in "12"]

    @pytest.mark.parametrize("stated", [None, "s"])
    def test_a_session_belongs_to_the_day_on_which_it_began(
        self, tmp_path: Path, stated: str | None
    ) -> None:
        midnight = datetime(2026, 3, 10, tzinfo=ZURICH)
        rows = [
            answered(midnight + timedelta(minutes=m), session_id=stated) for m in (-20, -1, 0, 25)
        ]
        assert rows_of(tmp_path, *rows, day=DAY) == []
        found = rows_of(tmp_path, *rows, day=DAY - timedelta(days=1))
        assert len(found) == 4
        assert {row["session_started_at"] for row in found} == {midnight - timedelta(minutes=20)}

    @pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
    def test_days_of_23_and_25_hours(self, tmp_path: Path, day: date) -> None:
        first, last = day_bounds([day], ZURICH)
        step = timedelta(hours=1)
        hours = int((last.astimezone(UTC) - first.astimezone(UTC)) / step)
        assert hours in (23, 25)
        rows = [
            answered(first.astimezone(UTC) + n * step, candidate_id=f"c{n}")
            for n in range(-2, hours + 2)
        ]
        now_rows = [row | {"logged_at": row["answered_at"]} for row in rows]
        found = rows_of(tmp_path, *now_rows, day=day)
        assert {row["candidate_id"] for row in found} == {f"c{n}" for n in range(hours)}

    def test_a_stated_session_outlasts_a_pause(self, tmp_path: Path) -> None:
        rows = [answered(NOON + timedelta(hours=h), session_id="s") for h in (0, 1, 4)]
        found = rows_of(tmp_path, *rows)
        assert {row["session_started_at"] for row in found} == {NOON}
        rows.append(answered(NOON + timedelta(hours=4) + LONGEST_GAP * 1.01, session_id="s"))
        assert len({row["session_id"] for row in rows_of(tmp_path, *rows)}) == 2

    def test_a_stated_start_counts(self, tmp_path: Path) -> None:
        start = (NOON - timedelta(hours=1)).isoformat()
        rows = [
            answered(NOON + timedelta(hours=h), session_id="s", session_started_at=start)
            for h in (0, 9)
        ]
        found = rows_of(tmp_path, *rows)
        assert {row["session_started_at"] for row in found} == {NOON - timedelta(hours=1)}
        assert {row["session_id"] for row in found} == {"s"}

    def test_a_session_is_one_candidates(self, tmp_path: Path) -> None:
        rows = [answered(NOON, session_id="s", candidate_id=name) for name in ("ann", "bob")]
        assert reasons(rows_of(tmp_path, *rows)) == ["session_inconsistent"] * 2

    def test_rows_without_candidate_and_session_are_nobodys_session(self, tmp_path: Path) -> None:
        rows = [answered(NOON + timedelta(minutes=m), candidate_id=None) for m in (0, 1, 2)]
        found = rows_of(tmp_path, *rows)
        assert len({row["session_id"] + str(row["session_started_at"]) for row in found}) == 3

    def test_a_start_without_a_session_says_nothing(self, tmp_path: Path) -> None:
        start = (NOON - timedelta(hours=2)).isoformat()
        found = rows_of(tmp_path, answered(NOON, session_started_at=start))
        assert [row["session_started_at"] for row in found] == [NOON]

    def test_a_session_id_may_be_used_again_on_another_day(self, tmp_path: Path) -> None:
        rows = [
            answered(moment, session_id="room 1", session_started_at=moment.isoformat())
            for moment in (NOON, NOON + timedelta(days=1))
        ]
        found = seen_by_day(tmp_path, rows, days=3)
        assert [reasons(day) for day in found] == [[], [""], [""]]

    def test_a_session_has_one_start(self, tmp_path: Path) -> None:
        rows = [
            answered(NOON, session_id="s", session_started_at=(NOON - gap).isoformat())
            for gap in (timedelta(0), timedelta(minutes=1))
        ]
        assert reasons(rows_of(tmp_path, *rows)) == ["session_inconsistent"] * 2

    def test_nobody_answers_all_day(self, tmp_path: Path) -> None:
        """Whichever day is looked at, such a session is told once, and by the day it began."""
        first, _ = day_bounds([DAY], ZURICH)
        step = timedelta(minutes=29)
        rows = [answered(first + n * step) for n in range(200)]  # four days
        found = seen_by_day(tmp_path, rows, days=6)
        assert set(reasons([row for day in found for row in day])) == {"session_too_long"}
        assert [len(day) for day in found] == [0, 50, 50, 49, 50, 1]
        rows = [answered(first + n * step) for n in range(LONGEST_SESSION // step)]
        assert set(reasons(rows_of(tmp_path, *rows))) == {""}


def test_the_order_in_which_rows_come_does_not_matter(tmp_path: Path) -> None:
    rows = [
        # Every twelfth is the same answer, right or wrong or in another time.
        answered(
            NOON + timedelta(minutes=n % 3),
            candidate_id=f"c{n % 4}",
            item_id=f"i{n % 3}",
            code=str(n // 12 % 2),
            time_on_task_ms=str(n // 24),
        )
        for n in range(48)
    ]
    assert rows_of(tmp_path, *rows) == rows_of(tmp_path, *reversed(rows))


def test_nothing_is_left_in_the_scratch_folder(tmp_path: Path) -> None:
    rows_of(tmp_path, raw())
    scratch = tmp_path / "scratch"
    assert list(scratch.iterdir()) == []
    assert scratch.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("stated", "reason", "told"),
    [
        ({"code": "Richtig"}, "non_binary_score", "richtig"),
        ({"code": "2"}, "non_binary_score", "2"),
        ({"code": "-1.5"}, "non_binary_score", "-1.5"),
        ({"outcome": "Aborted"}, "unknown_outcome", "aborted"),
        ({"answered_at": "10.03.2026 12:00"}, "unreadable_timestamp", "10.03.2026 12:00"),
        ({"answered_at": "2026-03-10 12:00"}, "naive_timestamp", "2026-03-10 12:00"),
        (
            {"session_id": "s", "session_started_at": "2026-03-10T11:00"},
            "naive_timestamp",
            "2026-03-10T11:00",
        ),
        # What may be a person's, as where a name was mapped to the wrong column, isn't told.
        ({"code": "my answer"}, "non_binary_score", "text of 9 characters"),
        ({"code": "photosynthesis"}, "non_binary_score", "text of 14 characters"),
        ({"code": "ann@x.org"}, "non_binary_score", "text of 9 characters"),
        ({"code": "Ann-1"}, "non_binary_score", "text of 5 characters"),
        ({"code": "login", "session_id": "LOGIN"}, "non_binary_score", "text of 5 characters"),
        ({"answered_at": "yesterday"}, "unreadable_timestamp", "text of 9 characters"),
        ({"answered_at": "12 for ann"}, "unreadable_timestamp", "text of 10 characters"),
        ({"answered_at": "9" * 60}, "unreadable_timestamp", "text of 60 characters"),
    ],
)
def test_what_was_not_understood_is_told_unless_it_may_be_a_persons(
    tmp_path: Path, stated: dict[str, str], reason: str, told: str
) -> None:
    (row,) = rows_of(tmp_path, raw(**stated))
    assert reasons([row]) == [reason]
    assert row["outcome"] == told
