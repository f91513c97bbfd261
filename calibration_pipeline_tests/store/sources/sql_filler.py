"""What the fillers of tables, and those of JSON documents, have in common."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import sql

from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline_tests.store.sources.contract_answers import Answer
from calibration_pipeline_tests.store.sources.source_database import owning, reader_url

_BOOLEANS = ("true", "false", "t", "f", "1", "0", None)
_SOME_TIME = datetime(2026, 3, 10, 12, tzinfo=UTC)


def is_moment(text: str | None) -> bool:
    """Whether a column of times holds it, and a night can place it."""
    try:
        return text is not None and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def is_text(*values: str | None) -> bool:
    """Whether PostgreSQL's text can hold the values."""
    return not any("\0" in value for value in values if value is not None)


class SqlFiller:
    """What the fillers of tables have in common.

    Parameters
    ----------
    url
        An empty database, as its superuser.
    """

    kind: Any
    has_sessions = False
    schema = "public"
    names: dict[str, str] = {}  # noqa: RUF012
    codes: tuple[str | None, ...] | None = _BOOLEANS
    """What the column of codes can hold; None for any text."""

    def __init__(self, url: str) -> None:
        self._url = url

    def configuration(self, **changes: Any) -> SourceConfiguration:
        stated = {"kind": self.kind, "database_url": reader_url(self._url), "names": self.names}
        return SourceConfiguration(**{**stated, **changes})

    def can_hold(self, answer: Answer) -> bool:
        return (
            is_text(answer.candidate_id, answer.item_id, answer.code, answer.session_id)
            and is_moment(answer.answered_at)
            and (self.codes is None or answer.code in self.codes)
        )

    def _held(self, answers: Sequence[Answer]) -> list[Answer]:
        return [answer for answer in answers if self.can_hold(answer)]

    def _run(self, statements: Iterable[str]) -> None:
        with owning(self._url, self.schema) as connection:
            for statement in statements:
                connection.execute(statement)

    def _insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        values = sql.SQL(", ").join([sql.Placeholder()] * len(rows[0]))
        with owning(self._url, self.schema) as connection, connection.cursor() as cursor:
            insert = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.SQL(table), values)
            cursor.executemany(insert, rows)


def plain(answer: Answer) -> tuple[Any, ...]:
    moment = datetime.fromisoformat(str(answer.answered_at))
    return answer.candidate_id, answer.item_id, answer.code, moment


class DocumentFiller(SqlFiller):
    """What fillers of JSON documents have in common: times and codes may be anything there."""

    has_sessions = True
    codes = None

    def can_hold(self, answer: Answer) -> bool:
        texts = (answer.candidate_id, answer.item_id, answer.code, answer.session_id)
        # Where an answer has no time of its own, the document's stands in for it.
        return answer.answered_at is not None and is_text(*texts, answer.answered_at)

    def _documents(
        self, answers: Sequence[Answer]
    ) -> Iterable[tuple[tuple[str, str | None], datetime, list[Answer]]]:
        """Session and candidate, the session's first time, and its answers in their order."""
        grouped: dict[tuple[str, str | None], list[Answer]] = defaultdict(list)
        starts: dict[str, list[datetime]] = defaultdict(list)
        for answer in self._held(answers):
            session = answer.session_id or f"of {answer.candidate_id}"
            grouped[session, answer.candidate_id].append(answer)
            if is_moment(answer.answered_at):
                starts[session].append(datetime.fromisoformat(str(answer.answered_at)))
        for key, group in grouped.items():
            first = min(starts[key[0]], default=_SOME_TIME)
            yield key, first, sorted(group, key=lambda a: (a.position or 0, a.answered_at or ""))
