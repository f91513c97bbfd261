"""With what probability items of a version may be given, and what engines report of it."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

APPEND_ONLY_TABLES = ("exposure_controls", "exposure_control_items", "item_proposals")

# PostgreSQL's arrays begin at 1 and give null outside: the lowest and the highest level are open.
PUBLISHED_EXPOSURE = """
CREATE VIEW calibration.published_exposure AS
SELECT c.version, c.scale, i.item_id, i.content_version, i.level,
       c.cuts[i.level] AS theta_above, c.cuts[i.level + 1] AS theta_up_to,
       i.probability, i.simulated_rate, i.rate_without,
       c.attempt, c.method, c.maximum_rate, c.is_reached, c.recorded_at
FROM calibration.exposure_controls AS c
JOIN calibration.exposure_control_items AS i USING (control_id)
WHERE NOT EXISTS (
    SELECT FROM calibration.exposure_controls AS newer
    WHERE newer.version = c.version AND newer.scale = c.scale AND newer.attempt > c.attempt
)
"""

CURRENT_EXPOSURE = """
CREATE VIEW calibration.current_exposure AS
SELECT p.*
FROM calibration.published_exposure AS p
JOIN calibration.aliases AS a USING (version)
WHERE a.alias = 'current'
"""


def upgrade() -> None:
    _create_controls()
    _create_items()
    _create_proposals()
    for table in APPEND_ONLY_TABLES:
        op.execute(
            "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON calibration.{table} FOR EACH STATEMENT "
            "EXECUTE FUNCTION calibration.refuse_change()"
        )
        op.execute(f"ALTER TABLE calibration.{table} ENABLE ALWAYS TRIGGER append_only")
    op.execute(PUBLISHED_EXPOSURE)
    op.execute(CURRENT_EXPOSURE)
    op.execute(
        "COMMENT ON VIEW calibration.published_exposure IS "
        "'With what probability each item of a version may be given: the newest search counts.'"
    )
    op.execute(
        "COMMENT ON VIEW calibration.current_exposure IS "
        "'The same for the version that the alias current points at.'"
    )


def _number(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False, comment=comment)


def _recorded_at() -> sa.Column[Any]:
    return sa.Column(
        "recorded_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
    )


def _item_key() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return (
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
    )


def _create_controls() -> None:
    op.create_table(
        "exposure_controls",
        sa.Column("control_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column(
            "attempt", sa.Integer(), nullable=False, comment="From 1; the newest one counts."
        ),
        sa.Column("method", sa.Text(), nullable=False),
        _number("maximum_rate", "Share of a level's candidates that may see an item."),
        sa.Column(
            "settings",
            postgresql.JSONB(),
            nullable=False,
            comment="The test, who takes it, the search.",
        ),
        sa.Column(
            "cuts",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="Between levels of ability, in units of theta.",
        ),
        _number("worst_rate", "Highest simulated rate of any item."),
        _number("worst_rate_without", "The same without control."),
        _number("mean_length", "Items of a simulated test."),
        _number("mean_sd", "Of ability at a test's end: its mean error."),
        _number("mean_sd_without", "The same without control."),
        sa.Column("candidates", sa.BigInteger(), nullable=False, comment="Simulated, to judge by."),
        sa.Column("cycles", sa.Integer(), nullable=False, comment="Of the search."),
        sa.Column(
            "is_reached",
            sa.Boolean(),
            nullable=False,
            comment="The worst rate is within the tolerance.",
        ),
        sa.Column(
            "run_id",
            sa.UUID(as_uuid=False),
            nullable=True,
            comment="Null where a person found it.",
        ),
        sa.Column("found_by", sa.Text(), nullable=False),
        _recorded_at(),
        sa.CheckConstraint(
            "method in ('eligibility', 'sympson-hetter')",
            name=op.f("exposure_controls_method_check"),
        ),
        sa.CheckConstraint(
            "maximum_rate > 0 and maximum_rate <= 1",
            name=op.f("exposure_controls_maximum_rate_check"),
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["calibration.snapshots.version"], name="exposure_controls_version_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["calibration.runs.run_id"], name="exposure_controls_run_id_fkey"
        ),
        sa.PrimaryKeyConstraint("control_id", name="exposure_controls_pkey"),
        sa.UniqueConstraint("version", "scale", "attempt", name="exposure_controls_version_key"),
        schema="calibration",
        comment="Searches for probabilities that keep items of a version from being seen too "
        "often.",
    )


def _create_items() -> None:
    op.create_table(
        "exposure_control_items",
        sa.Column("control_id", sa.BigInteger(), autoincrement=False, nullable=False),
        *_item_key(),
        sa.Column(
            "level",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Of ability, from 0.",
        ),
        _number("probability", "With which it is open to a candidate."),
        _number("simulated_rate", "Share of a level's candidates who saw it."),
        _number("rate_without", "The same without control."),
        sa.CheckConstraint(
            "probability >= 0 and probability <= 1",
            name=op.f("exposure_control_items_probability_check"),
        ),
        sa.ForeignKeyConstraint(
            ["control_id"],
            ["calibration.exposure_controls.control_id"],
            name="exposure_control_items_control_id_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "control_id",
            "item_id",
            "content_version",
            "level",
            name="exposure_control_items_pkey",
        ),
        schema="calibration",
        comment="With what probability each item may be given.",
    )


def _create_proposals() -> None:
    op.create_table(
        "item_proposals",
        sa.Column(
            "report_id",
            sa.Text(),
            nullable=False,
            comment="The engine's own; a report that is sent twice counts once.",
        ),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        *_item_key(),
        sa.Column(
            "level",
            sa.Integer(),
            autoincrement=False,
            server_default="0",
            nullable=False,
            comment="Of ability, from 0.",
        ),
        sa.Column("day", sa.Date(), nullable=False, comment="Local day of the sessions."),
        sa.Column(
            "proposed", sa.BigInteger(), nullable=False, comment="Candidates it came up for."
        ),
        sa.Column(
            "given", sa.BigInteger(), nullable=False, comment="Of them, those it was open to."
        ),
        _recorded_at(),
        sa.CheckConstraint(
            "given >= 0 and given <= proposed", name=op.f("item_proposals_given_check")
        ),
        sa.ForeignKeyConstraint(
            ["version", "item_id", "content_version"],
            [
                "calibration.snapshot_items.version",
                "calibration.snapshot_items.item_id",
                "calibration.snapshot_items.content_version",
            ],
            name="item_proposals_version_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "report_id",
            "version",
            "item_id",
            "content_version",
            "level",
            name="item_proposals_pkey",
        ),
        schema="calibration",
        comment="Counters of engines: how often an item came up, and how often it was open. "
        "They add.",
    )
    op.create_index("item_proposals_day_idx", "item_proposals", ["day"], schema="calibration")


def downgrade() -> None:
    refuse_downgrade(revision)
