"""Tables of the priors of new items: fits, what they learned by scale, and each item's prior."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.tables.base import (
    FloatArray,
    Json,
    item_key,
    metadata,
    recorded_at,
)
from calibration_pipeline.store.tables.calibration import calibration_states

item_prior_fits = sa.Table(
    "item_prior_fits",
    metadata,
    sa.Column("fit_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("partition", sa.Date, nullable=False, comment="Night of the state that taught."),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("effective_from", sa.Date, nullable=False, comment="First night that may use it."),
    sa.Column("is_accepted", sa.Boolean, nullable=False, comment="Nights use no other."),
    sa.Column("reasons", postgresql.ARRAY(sa.Text), nullable=False, comment="Why it was rejected."),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("settings", Json, nullable=False, comment="By which it was fitted and judged."),
    sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of the fit's content."),
    sa.Column("fitted_by", sa.Text, nullable=False),
    recorded_at(),
    sa.ForeignKeyConstraint(
        ["partition", "attempt"],
        [calibration_states.c.partition, calibration_states.c.attempt],
    ),
    comment="Priors that calibrated items taught; the newest accepted one counts.",
)

_OF_FIT = item_prior_fits.c.fit_id


def _fit_key() -> sa.Column[int]:
    return sa.Column(
        "fit_id", sa.BigInteger, sa.ForeignKey(_OF_FIT), primary_key=True, autoincrement=False
    )


item_prior_scales = sa.Table(
    "item_prior_scales",
    metadata,
    _fit_key(),
    sa.Column("scale", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False, comment="Place in the bank's order."),
    sa.Column("families", postgresql.ARRAY(sa.Text), nullable=False, comment="Those that taught."),
    sa.Column("diagnostics", Json, nullable=False),
    comment="What a fit learned of one scale, and whether it can be trusted.",
)

item_prior_draws = sa.Table(
    "item_prior_draws",
    metadata,
    _fit_key(),
    sa.Column("scale", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True, comment="Of the hyperparameter."),
    sa.Column("shape", postgresql.ARRAY(sa.Integer), nullable=False, comment="Draws come first."),
    sa.Column("draws", FloatArray, nullable=False, comment="By rows, in units of phi."),
    comment="Draws of a fit's hyperparameters, for the priors of items imported after it.",
)

item_prior_items = sa.Table(
    "item_prior_items",
    metadata,
    _fit_key(),
    *item_key(primary_key=True),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False, comment="Place among the scale's items."),
    sa.Column("mean", FloatArray, nullable=False, comment="(3,) of phi, without own answers."),
    sa.Column("covariance", FloatArray, nullable=False, comment="(3 x 3, by rows) of phi."),
    sa.Column("teaches", sa.Boolean, nullable=False, comment="The fit learned from it."),
    comment="The prior of each item as a fit predicts it.",
)
