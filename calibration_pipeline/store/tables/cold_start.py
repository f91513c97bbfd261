"""Table of where new items should be shown."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.tables.base import Float, FloatArray, item_key, metadata
from calibration_pipeline.store.tables.calibration import state_evaluations

cold_start_items = sa.Table(
    "cold_start_items",
    metadata,
    sa.Column(
        "evaluation_id",
        sa.BigInteger,
        sa.ForeignKey(state_evaluations.c.evaluation_id),
        primary_key=True,
        autoincrement=False,
    ),
    *item_key(primary_key=True),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("total_count", sa.BigInteger, nullable=False, comment="Answers so far."),
    sa.Column("difficulty", Float, nullable=False, comment="As believed now, published scale."),
    sa.Column("difficulty_se", Float, nullable=False),
    sa.Column(
        "answers_needed",
        sa.Integer,
        comment="Further ones until the error of b is reached; null: more than are planned for.",
    ),
    sa.Column(
        "answers_cautious", sa.Integer, comment="The same for nine in ten items like this one."
    ),
    sa.Column(
        "answers_unaimed", sa.Integer, comment="answers_needed with candidates as they come."
    ),
    sa.Column("abilities", FloatArray, nullable=False, comment="Whom to show it to, theta."),
    sa.Column("shares", FloatArray, nullable=False, comment="Of the answers, at each; sum to 1."),
    sa.Column(
        "path_answers",
        postgresql.ARRAY(sa.Integer),
        nullable=False,
        comment="Further answers at which path_se is given.",
    ),
    sa.Column("path_se", FloatArray, nullable=False, comment="Expected error of b after them."),
    comment="Items whose difficulty isn't known well enough, and where each should be shown.",
)
