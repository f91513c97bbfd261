"""Tables of answers: the native log, imported files, archived days, the pseudonym map."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import (
    Float,
    Json,
    Moment,
    metadata,
    recorded_at,
)

response_log = sa.Table(
    "response_log",
    metadata,
    sa.Column("response_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("session_id", sa.Text, nullable=False),
    sa.Column("candidate_id", sa.Text, nullable=False),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("content_version", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column(
        "score",
        sa.SmallInteger,
        comment="1 right, 0 wrong. Unchecked: extraction quarantines bad rows and says so.",
    ),
    sa.Column("answered_at", Moment, nullable=False),
    sa.Column(
        "session_started_at",
        Moment,
        nullable=False,
        comment="Start of the session; its local day is the day that the answer belongs to.",
    ),
    sa.Column("position", sa.Integer, comment="Place of the answer in its session, from 1."),
    sa.Column("time_on_task_ms", sa.Integer, comment="Milliseconds."),
    sa.Column("option_selected", sa.Text),
    sa.Column("theta_at_presentation", Float, comment="The engine's ability estimate, theta."),
    sa.Column("population_group", sa.Text),
    sa.Column("engine_version", sa.Text),
    sa.Column(
        "outcome",
        sa.Text,
        comment="scored, omitted, not_reached or invalid; null is scored. Unchecked, like score.",
    ),
    recorded_at("ingested_at"),
    comment="Answers as the test engine logged them. Kept for the retention period only.",
)
# Extraction and change detection read whole days by session start.
sa.Index("response_log_session_started_at_idx", response_log.c.session_started_at)
# None by candidate: every insert of the test engines would pay for it, and only `calibrate forget`
# would use it, which is rare and may read the log whole.
# Answers that arrived late, by arrival (see late_answers.py). Partial: what a test engine logs as
# it happens costs nothing here. Not BRIN: once old answers are deleted new ones fill their pages,
# and a block's range of arrivals spans years.
IS_LATE = "ingested_at - session_started_at > interval '12 hours'"
sa.Index(
    "response_log_late_ingested_at_idx",
    response_log.c.ingested_at,
    postgresql_where=sa.text(IS_LATE),
)

import_batches = sa.Table(
    "import_batches",
    metadata,
    sa.Column("file_sha256", sa.Text, primary_key=True),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("response_count", sa.BigInteger, nullable=False),
    sa.Column("session_count", sa.BigInteger, nullable=False),
    recorded_at(),
    comment="Files imported into the response log, so that none is imported twice.",
)

candidate_map = sa.Table(
    "candidate_map",
    metadata,
    sa.Column("pseudonym", sa.LargeBinary, primary_key=True, comment="16-byte keyed hash."),
    sa.Column("candidate_id", sa.Text, nullable=False, comment="The source's id."),
    recorded_at(),
    sa.CheckConstraint("octet_length(pseudonym) = 16", name="pseudonym"),
    comment="The only link from pseudonyms to people. Deleting a row forgets the person.",
)
sa.Index("candidate_map_candidate_id_idx", candidate_map.c.candidate_id)

archive_revisions = sa.Table(
    "archive_revisions",
    metadata,
    sa.Column("day", sa.Date, primary_key=True, comment="Local day of session start."),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of the content, without ids."),
    sa.Column("file_name", sa.Text, nullable=False, comment="Relative to the archive's root."),
    sa.Column("quarantine_file_name", sa.Text, comment="Null if nothing was quarantined."),
    sa.Column("response_count", sa.BigInteger, nullable=False),
    sa.Column("session_count", sa.BigInteger, nullable=False),
    sa.Column("quarantine_counts", Json, nullable=False, comment="Rows left out, by reason."),
    sa.Column("timezone", sa.Text, nullable=False, comment="Whose local day this is."),
    recorded_at(),
    comment="Extractions of days. A file without a row here is an orphan and never read.",
)

source_observations = sa.Table(
    "source_observations",
    metadata,
    sa.Column("observation_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False, comment="What this source state gave."),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("latest_ingested_at", Moment),
    sa.Column("checksum", sa.BigInteger, nullable=False, comment="XOR of the rows' hashes."),
    sa.Column(
        "erased_sessions",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="Left out, because their candidates have been erased.",
    ),
    recorded_at(),
    sa.ForeignKeyConstraint(
        ["day", "revision"], [archive_revisions.c.day, archive_revisions.c.revision]
    ),
    comment="What the source of a day looked like when it was last extracted.",
)
sa.Index("source_observations_day_idx", source_observations.c.day)

source_checks = sa.Table(
    "source_checks",
    metadata,
    sa.Column("check_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("checked_through", Moment, nullable=False),
    recorded_at(),
    comment="Until when arrivals were searched for late answers; the newest row counts.",
)

candidate_abilities = sa.Table(
    "candidate_abilities",
    metadata,
    sa.Column("partition", sa.Date, primary_key=True, comment="The night that estimated it."),
    sa.Column("scale", sa.Text, primary_key=True),
    sa.Column("session_pseudonym", sa.LargeBinary, primary_key=True),
    sa.Column("candidate_pseudonym", sa.LargeBinary, nullable=False),
    sa.Column("version", sa.Integer, comment="Snapshot whose parameters were used, if any."),
    sa.Column("theta", Float, nullable=False, comment="Posterior mean, in units of theta."),
    sa.Column("theta_se", Float, nullable=False, comment="Posterior SD, in units of theta."),
    sa.Column("response_count", sa.Integer, nullable=False),
    recorded_at(),
    comment="Abilities by session. Personal data: replaced and deleted, never append-only.",
)
sa.Index("candidate_abilities_candidate_pseudonym_idx", candidate_abilities.c.candidate_pseudonym)
