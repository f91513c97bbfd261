"""Priors that calibrated items taught, and which of them a state used."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = ("item_prior_fits", "item_prior_scales", "item_prior_draws", "item_prior_items")


def upgrade() -> None:
    """States until now used none."""
    _create_fits()
    _create_scales()
    _create_draws()
    _create_items()
    for table in TABLES:
        op.execute(
            "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON calibration.{table} FOR EACH STATEMENT "
            "EXECUTE FUNCTION calibration.refuse_change()"
        )
        op.execute(f"ALTER TABLE calibration.{table} ENABLE ALWAYS TRIGGER append_only")
    op.add_column(
        "calibration_states",
        sa.Column(
            "item_prior_fit",
            sa.BigInteger(),
            nullable=True,
            comment="Fit that gave items without enough answers their priors; null: none.",
        ),
        schema="calibration",
    )


def _column(
    name: str, kind: sa.types.TypeEngine[Any], comment: str | None = None
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, comment=comment)


def _fit_key(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column("fit_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["fit_id"], ["calibration.item_prior_fits.fit_id"], name=f"{table}_fit_id_fkey"
        ),
    )


def _create_fits() -> None:
    op.create_table(
        "item_prior_fits",
        sa.Column("fit_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _column("partition", sa.Date(), "Night of the state that taught."),
        _column("attempt", sa.Integer()),
        _column("effective_from", sa.Date(), "First night that may use it."),
        _column("is_accepted", sa.Boolean(), "Nights use no other."),
        _column("reasons", postgresql.ARRAY(sa.Text()), "Why it was rejected."),
        _column("seed", sa.BigInteger()),
        _column("settings", postgresql.JSONB(), "By which it was fitted and judged."),
        _column("digest", sa.Text(), "SHA-256 of the fit's content."),
        _column("fitted_by", sa.Text()),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="item_prior_fits_partition_fkey",
        ),
        sa.PrimaryKeyConstraint("fit_id", name="item_prior_fits_pkey"),
        schema="calibration",
        comment="Priors that calibrated items taught; the newest accepted one counts.",
    )


def _create_scales() -> None:
    op.create_table(
        "item_prior_scales",
        *_fit_key("item_prior_scales"),
        _column("scale", sa.Text()),
        _column("position", sa.Integer(), "Place in the bank's order."),
        _column("families", postgresql.ARRAY(sa.Text()), "Those that taught."),
        _column("diagnostics", postgresql.JSONB()),
        sa.PrimaryKeyConstraint("fit_id", "scale", name="item_prior_scales_pkey"),
        schema="calibration",
        comment="What a fit learned of one scale, and whether it can be trusted.",
    )


def _create_draws() -> None:
    op.create_table(
        "item_prior_draws",
        *_fit_key("item_prior_draws"),
        _column("scale", sa.Text()),
        _column("name", sa.Text(), "Of the hyperparameter."),
        _column("shape", postgresql.ARRAY(sa.Integer()), "Draws come first."),
        _column("draws", postgresql.ARRAY(sa.Double()), "By rows, in units of phi."),
        sa.PrimaryKeyConstraint("fit_id", "scale", "name", name="item_prior_draws_pkey"),
        schema="calibration",
        comment="Draws of a fit's hyperparameters, for the priors of items imported after it.",
    )


def _create_items() -> None:
    op.create_table(
        "item_prior_items",
        *_fit_key("item_prior_items"),
        _column("item_id", sa.Text()),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        _column("scale", sa.Text()),
        _column("position", sa.Integer(), "Place among the scale's items."),
        _column("mean", postgresql.ARRAY(sa.Double()), "(3,) of phi, without own answers."),
        _column("covariance", postgresql.ARRAY(sa.Double()), "(3 x 3, by rows) of phi."),
        _column("teaches", sa.Boolean(), "The fit learned from it."),
        sa.PrimaryKeyConstraint(
            "fit_id", "item_id", "content_version", name="item_prior_items_pkey"
        ),
        schema="calibration",
        comment="The prior of each item as a fit predicts it.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
