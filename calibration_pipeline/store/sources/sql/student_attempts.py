"""The table ``student_attempts``: one row for each answer."""

from collections.abc import Sequence

from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline.store.sources.sql.names import OPTIONAL, Column, Layout
from calibration_pipeline.store.sources.sql.tables import TableReader, plain_rows
from calibration_pipeline.store.sources.sql.tables_view import AnswerRows

STUDENT_ATTEMPTS = Layout(
    "student_attempts",
    (
        Column("student_id", gives="candidate_id"),
        Column("item_id", gives="item_id"),
        Column("correct", gives="code"),
        Column("attempted_at", gives="answered_at", alternatives=("created_at",)),
        *OPTIONAL,
    ),
)
"""Its documentation names no column of times; these are what such tables have."""


class StudentAttemptsReader(TableReader):
    """Reads ``student_attempts``."""

    kind = "student_attempts"
    layouts = (STUDENT_ATTEMPTS,)

    def _answers(self, database: ForeignDatabase) -> Sequence[AnswerRows]:
        found = self._find(database, STUDENT_ATTEMPTS)
        return [plain_rows(found, STUDENT_ATTEMPTS, "attempted_at")]
