"""Nights: runs, states, flags, links."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False, comment="The night's local day."),
        sa.Column("triggered_by", sa.Text(), nullable=False),
        sa.Column(
            "orchestrator_run_id",
            sa.Text(),
            nullable=True,
            comment="Dagster's run, which may hold many nights.",
        ),
        sa.Column("configuration", postgresql.JSONB(), nullable=False),
        sa.Column("package_versions", postgresql.JSONB(), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("run_id", name="runs_pkey"),
        schema="calibration",
        comment="The run log: one row per night and try, written at its start.",
    )
    op.create_index("runs_partition_idx", "runs", ["partition"], unique=False, schema="calibration")
    op.create_table(
        "run_outcomes",
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.Column("timings", postgresql.JSONB(), nullable=False, comment="Seconds by step."),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "outcome in ('completed', 'completed_empty', 'rejected', 'audit_failed', 'failed')",
            name=op.f("run_outcomes_outcome_check"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["calibration.runs.run_id"], name="run_outcomes_run_id_fkey"
        ),
        sa.PrimaryKeyConstraint("run_id", name="run_outcomes_pkey"),
        schema="calibration",
        comment="How a run ended. A run without a row here is under way or has crashed.",
    )
    op.create_table(
        "calibration_states",
        sa.Column("partition", sa.Date(), nullable=False, comment="The night's local day."),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "is_accepted", sa.Boolean(), nullable=False, comment="The verdict on the fit alone."
        ),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "folded_through",
            sa.Date(),
            nullable=True,
            comment="Last day in the carried information.",
        ),
        sa.Column("parent_partition", sa.Date(), nullable=True),
        sa.Column("parent_attempt", sa.Integer(), nullable=True),
        sa.Column("anchor_set_id", sa.Integer(), nullable=True),
        sa.Column("bank_digest", sa.Text(), nullable=False),
        sa.Column("anchor_digest", sa.Text(), nullable=False),
        sa.Column("configuration_digest", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the state's content."),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("attempt >= 1", name=op.f("calibration_states_attempt_check")),
        sa.CheckConstraint(
            "parent_partition < partition", name=op.f("calibration_states_parent_is_earlier_check")
        ),
        sa.ForeignKeyConstraint(
            ["anchor_set_id"],
            ["calibration.anchor_sets.anchor_set_id"],
            name="calibration_states_anchor_set_id_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["parent_partition", "parent_attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="calibration_states_parent_partition_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["calibration.runs.run_id"], name="calibration_states_run_id_fkey"
        ),
        sa.PrimaryKeyConstraint("partition", "attempt", name="calibration_states_pkey"),
        schema="calibration",
        comment="A night's state: all that the next night needs, and its own fit.",
    )
    op.create_table(
        "state_scales",
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="Place in the bank's order."),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("fitted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("population_mean", sa.Double(), nullable=False, comment="In units of theta."),
        sa.Column("population_sd", sa.Double(), nullable=False, comment="In units of theta."),
        sa.Column("linking_slope", sa.Double(), nullable=False),
        sa.Column("linking_intercept", sa.Double(), nullable=False, comment="In units of theta."),
        sa.Column(
            "log_likelihood", sa.Double(), nullable=False, comment="Marginal; natural logarithm."
        ),
        sa.Column("cycles", sa.Integer(), nullable=False),
        sa.Column("converged", sa.Boolean(), nullable=False),
        sa.Column("session_count", sa.BigInteger(), nullable=False),
        sa.Column("response_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="state_scales_partition_fkey",
        ),
        sa.PrimaryKeyConstraint("partition", "attempt", "scale", name="state_scales_pkey"),
        schema="calibration",
        comment="What a night found out about each scale.",
    )
    op.create_table(
        "state_windows",
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="state_windows_partition_fkey",
        ),
        sa.PrimaryKeyConstraint("partition", "attempt", "day", name="state_windows_pkey"),
        schema="calibration",
        comment="The archived days that a state's window used.",
    )
    op.create_table(
        "state_items",
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="Place in the bank's order."),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "parameters", postgresql.ARRAY(sa.Double()), nullable=False, comment="(3,) a, b, c."
        ),
        sa.Column(
            "covariance",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="(3 x 3, by rows) of phi.",
        ),
        sa.Column(
            "prior_mean", postgresql.ARRAY(sa.Double()), nullable=False, comment="(3,) on phi."
        ),
        sa.Column(
            "prior_precision", postgresql.ARRAY(sa.Double()), nullable=False, comment="(3,) on phi."
        ),
        sa.Column(
            "carried_information",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="(3 x 3, by rows) Lambda.",
        ),
        sa.Column(
            "carried_linear", postgresql.ARRAY(sa.Double()), nullable=False, comment="(3,) eta."
        ),
        sa.Column(
            "shadow_parameters",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="(3,) a, b, c.",
        ),
        sa.Column("window_count", sa.BigInteger(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=False),
        sa.Column(
            "infit", sa.Double(), nullable=False, comment="Mean square; NaN without answers."
        ),
        sa.Column(
            "outfit", sa.Double(), nullable=False, comment="Mean square; NaN without answers."
        ),
        sa.Column("infit_se", sa.Double(), nullable=False, comment="Of infit under the model."),
        sa.Column("outfit_se", sa.Double(), nullable=False, comment="Of outfit under the model."),
        sa.Column("is_anchor", sa.Boolean(), nullable=False),
        sa.Column("is_updated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="state_items_partition_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "partition", "attempt", "item_id", "content_version", name="state_items_pkey"
        ),
        schema="calibration",
        comment="A state's items. phi = (log discrimination, difficulty, logit guessing).",
    )
    op.create_table(
        "state_evaluations",
        sa.Column("evaluation_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("kind in ('flags', 'links')", name=op.f("state_evaluations_kind_check")),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="state_evaluations_partition_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["calibration.runs.run_id"], name="state_evaluations_run_id_fkey"
        ),
        sa.PrimaryKeyConstraint("evaluation_id", name="state_evaluations_pkey"),
        schema="calibration",
        comment="A computation of a state's flags or links; the newest one counts.",
    )
    op.create_index(
        "state_evaluations_partition_idx",
        "state_evaluations",
        ["partition", "attempt", "kind"],
        unique=False,
        schema="calibration",
    )
    op.create_table(
        "flags",
        sa.Column("evaluation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False, comment="What was seen."),
        sa.Column("reference", sa.Double(), nullable=False, comment="What it was compared with."),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("z", sa.Double(), nullable=False, comment="In standard errors."),
        sa.Column("is_credible", sa.Boolean(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["calibration.state_evaluations.evaluation_id"],
            name="flags_evaluation_id_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "item_id", "content_version", "reason", name="flags_pkey"
        ),
        schema="calibration",
        comment="Verdicts on items: one row per item and reason.",
    )
    op.create_table(
        "links",
        sa.Column("evaluation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column(
            "slope",
            sa.Double(),
            nullable=False,
            comment="b* = slope * b + intercept; a* = a / slope.",
        ),
        sa.Column("intercept", sa.Double(), nullable=False, comment="In units of theta."),
        sa.Column("anchors_used", sa.Integer(), nullable=False),
        sa.Column(
            "anchors_left_out", postgresql.JSONB(), nullable=False, comment="Reason by anchor."
        ),
        sa.Column("is_within_bounds", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["calibration.state_evaluations.evaluation_id"],
            name="links_evaluation_id_fkey",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "scale", name="links_pkey"),
        schema="calibration",
        comment="Linking constants by scale.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
