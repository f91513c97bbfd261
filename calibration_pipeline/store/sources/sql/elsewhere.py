"""A table shaped like our own response log, in another database."""

from collections.abc import Sequence

from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline.store.sources.sql.names import Column, Layout
from calibration_pipeline.store.sources.sql.tables import TableReader, plain_rows
from calibration_pipeline.store.sources.sql.tables_view import AnswerRows

_MAY_LACK = (
    "content_version",
    "position",
    "time_on_task_ms",
    "option_selected",
    "theta_at_presentation",
    "population_group",
    "engine_version",
    "outcome",
)

RESPONSE_LOG = Layout(
    "response_log",
    (
        Column("session_id", gives="session_id"),
        Column("candidate_id", gives="candidate_id"),
        Column("item_id", gives="item_id"),
        Column("score", gives="code"),
        Column("answered_at", gives="answered_at"),
        Column("session_started_at", gives="session_started_at"),
        Column("ingested_at", gives="logged_at", use="where_present"),
        *(Column(name, gives=name, use="where_present") for name in _MAY_LACK),
    ),
    place="calibration.response_log",
)


class LogElsewhereReader(TableReader):
    """Reads a response log that isn't in the store; rows are placed by their session's start."""

    kind = "response_log"
    layouts = (RESPONSE_LOG,)
    is_dated_by_session = True

    def _answers(self, database: ForeignDatabase) -> Sequence[AnswerRows]:
        found = self._find(database, RESPONSE_LOG)
        return [plain_rows(found, RESPONSE_LOG, "session_started_at")]
