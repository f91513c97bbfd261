"""Tables of nights: runs, states, and the flags and links computed from a state."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.tables.bank import anchor_sets, items
from calibration_pipeline.store.tables.base import (
    Float,
    FloatArray,
    Json,
    item_key,
    metadata,
    recorded_at,
)

OUTCOMES = ("completed", "completed_empty", "rejected", "audit_failed", "failed", "partial")

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", postgresql.UUID(as_uuid=False), primary_key=True),
    sa.Column("partition", sa.Date, nullable=False, comment="The night's local day."),
    sa.Column("triggered_by", sa.Text, nullable=False),
    sa.Column("orchestrator_run_id", sa.Text, comment="Dagster's run, which may hold many nights."),
    sa.Column("configuration", Json, nullable=False),
    sa.Column("package_versions", Json, nullable=False),
    recorded_at("started_at"),
    comment="The run log: one row per night and try, written at its start.",
)
sa.Index("runs_partition_idx", runs.c.partition)

run_outcomes = sa.Table(
    "run_outcomes",
    metadata,
    sa.Column("run_id", sa.ForeignKey(runs.c.run_id), primary_key=True),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("counts", Json, nullable=False),
    sa.Column("timings", Json, nullable=False, comment="Seconds by step."),
    recorded_at("finished_at"),
    sa.CheckConstraint(f"outcome in {OUTCOMES}", name="outcome"),
    comment="How a run ended. A run without a row here is under way or has crashed.",
)

calibration_states = sa.Table(
    "calibration_states",
    metadata,
    sa.Column("partition", sa.Date, primary_key=True, comment="The night's local day."),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.ForeignKey(runs.c.run_id), nullable=False),
    sa.Column("is_accepted", sa.Boolean, nullable=False, comment="The verdict on the fit alone."),
    sa.Column("reasons", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("folded_through", sa.Date, comment="Last day in the carried information."),
    sa.Column("parent_partition", sa.Date),
    sa.Column("parent_attempt", sa.Integer),
    sa.Column("anchor_set_id", sa.ForeignKey(anchor_sets.c.anchor_set_id)),
    sa.Column("bank_digest", sa.Text, nullable=False),
    sa.Column("anchor_digest", sa.Text, nullable=False),
    sa.Column("configuration_digest", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of the state's content."),
    sa.Column(
        "leak_digest",
        sa.Text,
        nullable=False,
        server_default="",
        comment="SHA-256 of the leak watch; empty: none.",
    ),
    sa.Column(
        "item_prior_fit",
        sa.BigInteger,
        comment="Fit that gave items without enough answers their priors; null: none.",
    ),
    recorded_at(),
    sa.ForeignKeyConstraint(
        ["parent_partition", "parent_attempt"],
        ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
    ),
    sa.CheckConstraint("attempt >= 1", name="attempt"),
    sa.CheckConstraint("parent_partition < partition", name="parent_is_earlier"),
    comment="A night's state: all that the next night needs, and its own fit.",
)

night_acceptances = sa.Table(
    "night_acceptances",
    metadata,
    sa.Column("acceptance_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("partition", sa.Date, nullable=False, comment="The night's local day."),
    sa.Column("state_digest", sa.Text, nullable=False, comment="Of the rejected state it is for."),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    recorded_at(),
    comment="Rejected fits that a person has accepted all the same.",
)

STATE_KEY = [calibration_states.c.partition, calibration_states.c.attempt]


def state_key() -> tuple[sa.Column[date], sa.Column[int]]:
    """Give columns that name a state, at the head of a table's primary key."""
    return (
        sa.Column("partition", sa.Date, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    )


state_scales = sa.Table(
    "state_scales",
    metadata,
    *state_key(),
    sa.Column("position", sa.Integer, nullable=False, comment="Place in the bank's order."),
    sa.Column("scale", sa.Text, primary_key=True),
    sa.Column("fitted", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("population_mean", Float, nullable=False, comment="In units of theta."),
    sa.Column("population_sd", Float, nullable=False, comment="In units of theta."),
    sa.Column("linking_slope", Float, nullable=False),
    sa.Column("linking_intercept", Float, nullable=False, comment="In units of theta."),
    sa.Column("log_likelihood", Float, nullable=False, comment="Marginal; natural logarithm."),
    sa.Column("cycles", sa.Integer, nullable=False),
    sa.Column("converged", sa.Boolean, nullable=False),
    sa.Column("session_count", sa.BigInteger, nullable=False),
    sa.Column("response_count", sa.BigInteger, nullable=False),
    sa.Column(
        "population_groups",
        postgresql.JSONB,
        nullable=False,
        server_default="[]",
        comment="Groups of sessions, the largest first: name, mean, slope, sd, session_count.",
    ),
    sa.Column("common_start", Float, comment="Theta that the engine starts new candidates from."),
    sa.Column(
        "screening",
        postgresql.JSONB,
        nullable=False,
        server_default="{}",
        comment="What was found in the answers: counts by kind.",
    ),
    sa.Column(
        "released_anchors",
        postgresql.JSONB,
        nullable=False,
        server_default="[]",
        comment="Anchors that the fit did not hold: pairs of item and reason.",
    ),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    comment="What a night found out about each scale.",
)

state_windows = sa.Table(
    "state_windows",
    metadata,
    *state_key(),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    comment="The archived days that a state's window used.",
)

state_folds = sa.Table(
    "state_folds",
    metadata,
    *state_key(),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    comment="The archived days that a state folded into the carried information.",
)

state_items = sa.Table(
    "state_items",
    metadata,
    *state_key(),
    sa.Column("position", sa.Integer, nullable=False, comment="Place in the bank's order."),
    *item_key(primary_key=True),
    sa.Column("parameters", FloatArray, nullable=False, comment="(3,) a, b, c."),
    sa.Column("covariance", FloatArray, nullable=False, comment="(3 x 3, by rows) of phi."),
    sa.Column("prior_mean", FloatArray, nullable=False, comment="(3,) on phi."),
    sa.Column("prior_precision", FloatArray, nullable=False, comment="(3,) on phi."),
    sa.Column(
        "carried_information", FloatArray, nullable=False, comment="(3 x 3, by rows) Lambda."
    ),
    sa.Column("carried_linear", FloatArray, nullable=False, comment="(3,) eta."),
    sa.Column(
        "carried_shift",
        Float,
        nullable=False,
        comment="How much harder later answers make it than earlier ones; units of theta.",
    ),
    sa.Column("carried_shift_se", Float, nullable=False),
    sa.Column(
        "is_contradicted",
        sa.Boolean,
        nullable=False,
        comment="What the item carried was dropped tonight.",
    ),
    sa.Column("carried_from", sa.Date, comment="First day that it may carry; null: every day."),
    sa.Column("shadow_parameters", FloatArray, nullable=False, comment="(3,) a, b, c."),
    sa.Column("window_count", sa.BigInteger, nullable=False),
    sa.Column("total_count", sa.BigInteger, nullable=False),
    sa.Column("infit", Float, nullable=False, comment="Mean square; NaN without answers."),
    sa.Column("outfit", Float, nullable=False, comment="Mean square; NaN without answers."),
    sa.Column("infit_se", Float, nullable=False, comment="Of infit under the model."),
    sa.Column("outfit_se", Float, nullable=False, comment="Of outfit under the model."),
    sa.Column("is_anchor", sa.Boolean, nullable=False),
    sa.Column("is_updated", sa.Boolean, nullable=False),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    comment="A state's items. phi = (log discrimination, difficulty, logit guessing).",
)

state_differences = sa.Table(
    "state_differences",
    metadata,
    *state_key(),
    *item_key(primary_key=True),
    sa.Column("population_group", sa.Text, primary_key=True),
    sa.Column("reference_group", sa.Text, nullable=False, comment="The group it is compared with."),
    sa.Column("position", sa.Integer, nullable=False, comment="By item, in the bank's order."),
    sa.Column(
        "shift",
        Float,
        nullable=False,
        comment="How much harder the item is for the group, in units of theta.",
    ),
    sa.Column("shift_se", Float, nullable=False),
    sa.Column(
        "mh_delta",
        Float,
        nullable=False,
        comment="The same as a Mantel-Haenszel delta: negative where it is harder.",
    ),
    sa.Column("mh_delta_se", Float, nullable=False),
    sa.Column(
        "adjusted_p_value",
        Float,
        nullable=False,
        comment="Smallest false discovery rate at which the item differs.",
    ),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    comment="A state's items that were compared between population groups of equal ability.",
)

state_evaluations = sa.Table(
    "state_evaluations",
    metadata,
    sa.Column("evaluation_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("partition", sa.Date, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("run_id", sa.ForeignKey(runs.c.run_id), nullable=False),
    recorded_at(),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    sa.CheckConstraint("kind in ('flags', 'links', 'leaks', 'cold start')", name="kind"),
    comment="A computation of a state's flags, links, leak verdicts or cold-start list; the newest "
    "one counts.",
)
sa.Index(
    "state_evaluations_partition_idx",
    state_evaluations.c.partition,
    state_evaluations.c.attempt,
    state_evaluations.c.kind,
)

flags = sa.Table(
    "flags",
    metadata,
    sa.Column(
        "evaluation_id",
        sa.BigInteger,
        sa.ForeignKey(state_evaluations.c.evaluation_id),
        primary_key=True,
        autoincrement=False,
    ),
    *item_key(primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("value", Float, nullable=False, comment="What was seen."),
    sa.Column("reference", Float, nullable=False, comment="What it was compared with."),
    sa.Column("threshold", Float, nullable=False),
    sa.Column("z", Float, nullable=False, comment="In standard errors."),
    sa.Column("is_credible", sa.Boolean, nullable=False),
    sa.Column("explanation", sa.Text, nullable=False),
    sa.Column(
        "compared_with", sa.Text, nullable=False, server_default="", comment="What reference is."
    ),
    sa.Column("compared_on", sa.Date, comment="Night or day of the reference; null if undated."),
    comment="Verdicts on items: one row per item and reason.",
)

flag_decisions = sa.Table(
    "flag_decisions",
    metadata,
    sa.Column("decision_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    *item_key(),
    sa.Column("flag_reason", sa.Text, nullable=False, comment="Of the flag it is about."),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column(
        "night", sa.Date, nullable=False, comment="Newest night whose flags the reviewer had seen."
    ),
    sa.Column("evidence", Float, nullable=False, comment="|z| of the flag on that night."),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    recorded_at(),
    sa.ForeignKeyConstraint(
        ["item_id", "content_version"], [items.c.item_id, items.c.content_version]
    ),
    sa.CheckConstraint("decision in ('acknowledge', 'dismiss', 'reopen')", name="decision"),
    comment="Reviewers' decisions on flags; the newest one on an item and reason counts.",
)

links = sa.Table(
    "links",
    metadata,
    sa.Column(
        "evaluation_id",
        sa.BigInteger,
        sa.ForeignKey(state_evaluations.c.evaluation_id),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("scale", sa.Text, primary_key=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column(
        "slope", Float, nullable=False, comment="b* = slope * b + intercept; a* = a / slope."
    ),
    sa.Column("intercept", Float, nullable=False, comment="In units of theta."),
    sa.Column("anchors_used", sa.Integer, nullable=False),
    sa.Column("anchors_left_out", Json, nullable=False, comment="Reason by anchor."),
    sa.Column("is_within_bounds", sa.Boolean, nullable=False),
    sa.Column("slope_se", Float, nullable=False, server_default="0", comment="0: taken as known."),
    sa.Column("intercept_se", Float, nullable=False, server_default="0"),
    sa.Column("slope_intercept_covariance", Float, nullable=False, server_default="0"),
    comment="Linking constants by scale.",
)
