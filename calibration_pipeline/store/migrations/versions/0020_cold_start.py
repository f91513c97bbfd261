"""Where new items should be shown."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

CURRENT_COLD_START = """
CREATE VIEW calibration.current_cold_start AS
SELECT s.version, i.item_id, i.content_version, i.scale, i.total_count, i.difficulty,
       i.difficulty_se, i.answers_needed, i.answers_cautious, i.answers_unaimed, i.abilities,
       i.shares, i.path_answers, i.path_se
FROM calibration.aliases AS a
JOIN calibration.snapshots AS s USING (version)
JOIN calibration.cold_start_items AS i ON i.evaluation_id = (
    SELECT max(e.evaluation_id) FROM calibration.state_evaluations AS e
    WHERE e.kind = 'cold start' AND e.partition = s.partition AND e.attempt = s.attempt
)
WHERE a.alias = 'current'
"""


def upgrade() -> None:
    op.drop_constraint(
        op.f("state_evaluations_kind_check"), "state_evaluations", schema="calibration"
    )
    op.create_check_constraint(
        op.f("state_evaluations_kind_check"),
        "state_evaluations",
        "kind in ('flags', 'links', 'leaks', 'cold start')",
        schema="calibration",
    )
    op.create_table_comment(
        "state_evaluations",
        "A computation of a state's flags, links, leak verdicts or cold-start list; the newest one "
        "counts.",
        schema="calibration",
    )
    _create_items()
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON calibration.cold_start_items FOR EACH STATEMENT "
        "EXECUTE FUNCTION calibration.refuse_change()"
    )
    op.execute("ALTER TABLE calibration.cold_start_items ENABLE ALWAYS TRIGGER append_only")
    op.execute(CURRENT_COLD_START)
    op.execute(
        "COMMENT ON VIEW calibration.current_cold_start IS "
        "'Where new items should be shown, by the version that the alias current points at.'"
    )


def _column(
    name: str, kind: sa.types.TypeEngine[Any], comment: str | None = None, *, nullable: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, comment=comment)


def _create_items() -> None:
    numbers: sa.types.TypeEngine[Any] = postgresql.ARRAY(sa.Double())
    op.create_table(
        "cold_start_items",
        sa.Column("evaluation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _column("item_id", sa.Text()),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        _column("scale", sa.Text()),
        _column("total_count", sa.BigInteger(), "Answers so far."),
        _column("difficulty", sa.Double(), "As believed now, published scale."),
        _column("difficulty_se", sa.Double()),
        _column(
            "answers_needed",
            sa.Integer(),
            "Further ones until the error of b is reached; null: more than are planned for.",
            nullable=True,
        ),
        _column(
            "answers_cautious",
            sa.Integer(),
            "The same for nine in ten items like this one.",
            nullable=True,
        ),
        _column(
            "answers_unaimed",
            sa.Integer(),
            "answers_needed with candidates as they come.",
            nullable=True,
        ),
        _column("abilities", numbers, "Whom to show it to, theta."),
        _column("shares", numbers, "Of the answers, at each; sum to 1."),
        _column(
            "path_answers",
            postgresql.ARRAY(sa.Integer()),
            "Further answers at which path_se is given.",
        ),
        _column("path_se", numbers, "Expected error of b after them."),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["calibration.state_evaluations.evaluation_id"],
            name="cold_start_items_evaluation_id_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "item_id", "content_version", name="cold_start_items_pkey"
        ),
        schema="calibration",
        comment="Items whose difficulty isn't known well enough, and where each should be shown.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
