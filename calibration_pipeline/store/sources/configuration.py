"""Which source the answers come from, and how it is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

SourceKind = Literal["response_log", "attempt", "student_attempts", "practice", "files"]
AnswerCode = Literal["right", "wrong", "omitted", "not_reached", "invalid"]

STANDARD_CODES: Mapping[str, AnswerCode] = {
    "1": "right",
    "1.0": "right",
    "true": "right",
    "t": "right",
    "right": "right",
    "correct": "right",
    "0": "wrong",
    "0.0": "wrong",
    "false": "wrong",
    "f": "wrong",
    "wrong": "wrong",
    "incorrect": "wrong",
    "omitted": "omitted",
    "skipped": "omitted",
    "not_reached": "not_reached",
    "invalid": "invalid",
}
"""How sources spell what came of an answer, in small letters."""


LONGEST_GAP_MINUTES = 240
"""Longest pause within a session."""


@dataclass(frozen=True)
class SourceConfiguration:
    """Where answers come from.

    Attributes
    ----------
    kind
        The store's own log, one of the layouts of other systems' tables, or files.
    database_url
        PostgreSQL that holds the tables; None for the store's. Ours to read alone.
    path
        The file, or the folder of files, for kind ``files``.
    names
        The source's own names of tables and columns, by the documented ones: ``attempt`` →
        ``app.v_attempt``, ``attempt.student_id`` → ``learner``.
    codes
        What the source's answer codes mean, besides `STANDARD_CODES`.
    session_gap_minutes
        Inactivity that ends a session, where the source has no sessions of its own.
    naive_timezone
        The zone in which the source states times without an offset; None to quarantine them.
    statement_timeout_seconds
        Longest that a statement on the source's database may take.
    """

    kind: SourceKind = "response_log"
    database_url: str | None = field(default=None, repr=False)
    path: Path | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, AnswerCode] = field(default_factory=dict)
    session_gap_minutes: int = 30
    naive_timezone: str | None = None
    statement_timeout_seconds: int = 900

    @property
    def stated(self) -> dict[str, Any]:
        """What decides which rows are read and what they mean; without places and secrets."""
        return {
            "kind": self.kind,
            "names": dict(self.names),
            "codes": dict(self.codes),
            "session_gap_minutes": self.session_gap_minutes,
            "naive_timezone": self.naive_timezone,
        }

    @property
    def meaning(self) -> str:
        """The same as one text."""
        return json.dumps(self.stated, sort_keys=True)

    @property
    def session_gap(self) -> timedelta:
        """Inactivity that ends a session."""
        return timedelta(minutes=self.session_gap_minutes)
