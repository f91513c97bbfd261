"""The leak watch: running values of a state, and verdicts on its items."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = ("leak_watches", "leak_items", "leak_detectors", "leak_verdicts")


def upgrade() -> None:
    """States until now didn't watch: the next night begins with the usual times of its window."""
    op.add_column(
        "calibration_states",
        sa.Column(
            "leak_digest",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="SHA-256 of the leak watch; empty: none.",
        ),
        schema="calibration",
    )
    op.drop_constraint(
        op.f("state_evaluations_kind_check"), "state_evaluations", schema="calibration"
    )
    op.create_check_constraint(
        op.f("state_evaluations_kind_check"),
        "state_evaluations",
        "kind in ('flags', 'links', 'leaks')",
        schema="calibration",
    )
    op.create_table_comment(
        "state_evaluations",
        "A computation of a state's flags, links or leak verdicts; the newest one counts.",
        schema="calibration",
    )
    _create_watches()
    _create_items()
    _create_detectors()
    _create_verdicts()
    for table in TABLES:
        op.execute(
            "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON calibration.{table} FOR EACH STATEMENT "
            "EXECUTE FUNCTION calibration.refuse_change()"
        )
        op.execute(f"ALTER TABLE calibration.{table} ENABLE ALWAYS TRIGGER append_only")


def _column(
    name: str, kind: sa.types.TypeEngine[Any], comment: str | None = None, nullable: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, comment=comment)


def _night() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
    )


def _item() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
    )


def _of_watch(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["partition", "attempt"],
        ["calibration.leak_watches.partition", "calibration.leak_watches.attempt"],
        name=f"{table}_partition_fkey",
    )


def _create_watches() -> None:
    op.create_table(
        "leak_watches",
        *_night(),
        _column("settings_digest", sa.Text(), "SHA-256 of what detection rests on."),
        _column("n_shares", sa.Integer(), "Detectors of each item."),
        _column("n_nodes", sa.Integer(), "Weights of each detector."),
        _column(
            "false_alarm_constants",
            postgresql.ARRAY(sa.Double()),
            "(2 x n_shares) without times, and with.",
        ),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="leak_watches_partition_fkey",
        ),
        sa.PrimaryKeyConstraint("partition", "attempt", name="leak_watches_pkey"),
        schema="calibration",
        comment="The leak watch that a state hands on; a state without one didn't watch.",
    )


def _create_items() -> None:
    op.create_table(
        "leak_items",
        *_night(),
        _column("position", sa.Integer(), "Place in the bank's order."),
        *_item(),
        _column("alarm_day", sa.Date(), "Day of the alarm; null for none.", nullable=True),
        _column("alarm_share", sa.Integer(), "Number of its share; -1: none."),
        _column(
            "left_out_from",
            sa.Date(),
            "Estimated onset: first day whose answers are left out; null for none.",
            nullable=True,
        ),
        _column(
            "times",
            postgresql.ARRAY(sa.Double()),
            "(4,) decayed: paces, their sum, their squares, variances of the speeds.",
        ),
        _column(
            "traffic",
            postgresql.ARRAY(sa.Double()),
            "(6,) decayed: days, answers, abilities, squares, their variances, of speeds.",
        ),
        _of_watch("leak_items"),
        sa.PrimaryKeyConstraint(
            "partition", "attempt", "item_id", "content_version", name="leak_items_pkey"
        ),
        schema="calibration",
        comment="A leak watch's items: alarms, usual times and traffic.",
    )


def _create_detectors() -> None:
    numbers: sa.types.TypeEngine[Any] = postgresql.ARRAY(sa.Double())
    op.create_table(
        "leak_detectors",
        *_night(),
        *_item(),
        sa.Column(
            "share", sa.Integer(), autoincrement=False, nullable=False, comment="Its number."
        ),
        _column("position", sa.Integer(), "Of the item, in the bank's order."),
        _column("log_ratio", sa.Double(), "log Lambda."),
        _column("onset", sa.Date(), "Day of the first answer in it."),
        _column("answers", sa.BigInteger(), "Answers in it."),
        _column("parameters", numbers, "(3,) a, b, c before the onset."),
        _column("covariance", numbers, "(3 x 3, by rows) of phi."),
        _column("time_mean", sa.Double(), "Of log seconds; NaN: not used."),
        _column("time_mean_se", sa.Double()),
        _column("time_variance", sa.Double()),
        _column("null_weights", numbers, "(n_nodes,) without a leak."),
        _column("leak_weights", numbers, "(n_nodes,) with one."),
        _of_watch("leak_detectors"),
        sa.PrimaryKeyConstraint(
            "partition",
            "attempt",
            "item_id",
            "content_version",
            "share",
            name="leak_detectors_pkey",
        ),
        schema="calibration",
        comment="Detectors that aren't at zero: one row per item and share.",
    )


def _create_verdicts() -> None:
    op.create_table(
        "leak_verdicts",
        sa.Column("evaluation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _column("position", sa.Integer(), "Place in the state's order."),
        *_item(),
        _column("is_suspected", sa.Boolean(), "It or a variant has an alarm."),
        _column("alarm_item", sa.Integer(), "Position of whose; -1: none."),
        _column("alarm_day", sa.Date(), nullable=True),
        _column("onset_day", sa.Date(), "Of the alarm, or of the present rise.", nullable=True),
        _column("statistic", sa.Double(), "log Lambda."),
        _column("threshold", sa.Double(), "Infinite: the item isn't watched."),
        _column("share", sa.Double(), "Of candidates, that the two are for."),
        _column("answers_since_onset", sa.BigInteger()),
        _column("answers_per_day", sa.Double(), "Current traffic."),
        _column("is_watched", sa.Boolean(), "Enough is known of it."),
        _column("uses_times", sa.Boolean()),
        _column(
            "delay_answers",
            sa.Double(),
            "Expected between a leak and its alarm; infinite: not in useful time.",
        ),
        _column("delay_days", sa.Double()),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["calibration.state_evaluations.evaluation_id"],
            name="leak_verdicts_evaluation_id_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "item_id", "content_version", name="leak_verdicts_pkey"
        ),
        schema="calibration",
        comment="Verdicts of the leak watch on a state's items.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
