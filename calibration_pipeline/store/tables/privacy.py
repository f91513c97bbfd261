"""Tables of what was deleted to protect people, and of who must not come back."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import Json, metadata, recorded_at
from calibration_pipeline.store.tables.responses import archive_revisions

archive_deletions = sa.Table(
    "archive_deletions",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column(
        "replaced_by",
        sa.Integer,
        comment="The revision without the erased sessions; null if nothing is kept.",
    ),
    recorded_at(),
    sa.ForeignKeyConstraint(
        ["day", "revision"], [archive_revisions.c.day, archive_revisions.c.revision]
    ),
    sa.CheckConstraint("cause in ('retention', 'erasure')", name="cause"),
    comment="Archived revisions whose files have been deleted, and why.",
)

retention_runs = sa.Table(
    "retention_runs",
    metadata,
    sa.Column("retention_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column(
        "deleted_before", sa.Date, nullable=False, comment="Answers of earlier days are gone."
    ),
    sa.Column("counts", Json, nullable=False, comment="What was deleted."),
    recorded_at(),
    comment="Each deletion of answers older than the retention period.",
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    sa.Column("pseudonym", sa.LargeBinary, primary_key=True, comment="16-byte keyed hash."),
    sa.Column(
        "is_erased",
        sa.Boolean,
        nullable=False,
        comment="Answers are left out as well; else only the link to the person is.",
    ),
    recorded_at(),
    sa.CheckConstraint("octet_length(pseudonym) = 16", name="pseudonym"),
    comment="Candidates who are never to be linked, or taken in, again.",
)

pseudonym_keys = sa.Table(
    "pseudonym_keys",
    metadata,
    sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column(
        "fingerprint", sa.LargeBinary, nullable=False, comment="16-byte hash, keyed with the key."
    ),
    sa.Column("accepted_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    recorded_at(),
    sa.CheckConstraint("octet_length(fingerprint) = 16", name="fingerprint"),
    comment="By what the key of the pseudonyms is recognised; the last one is in use.",
)

privacy_acts = sa.Table(
    "privacy_acts",
    metadata,
    sa.Column("act_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("counts", Json, nullable=False, comment="What was removed."),
    recorded_at(),
    sa.CheckConstraint("act in ('forget', 'erase')", name="act"),
    comment="That somebody was forgotten or erased, and when; never who.",
)
