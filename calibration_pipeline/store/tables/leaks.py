"""Tables of the leak watch: what a night hands on, and what it says of items."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import Float, FloatArray, item_key, metadata
from calibration_pipeline.store.tables.calibration import STATE_KEY, state_evaluations, state_key

leak_watches = sa.Table(
    "leak_watches",
    metadata,
    *state_key(),
    sa.Column(
        "settings_digest", sa.Text, nullable=False, comment="SHA-256 of what detection rests on."
    ),
    sa.Column("n_shares", sa.Integer, nullable=False, comment="Detectors of each item."),
    sa.Column("n_nodes", sa.Integer, nullable=False, comment="Weights of each detector."),
    sa.Column(
        "false_alarm_constants",
        FloatArray,
        nullable=False,
        comment="(2 x n_shares) without times, and with.",
    ),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    comment="The leak watch that a state hands on; a state without one didn't watch.",
)

WATCH_KEY = [leak_watches.c.partition, leak_watches.c.attempt]

leak_items = sa.Table(
    "leak_items",
    metadata,
    *state_key(),
    sa.Column("position", sa.Integer, nullable=False, comment="Place in the bank's order."),
    *item_key(primary_key=True),
    sa.Column("alarm_day", sa.Date, comment="Day of the alarm; null for none."),
    sa.Column("alarm_share", sa.Integer, nullable=False, comment="Number of its share; -1: none."),
    sa.Column(
        "left_out_from",
        sa.Date,
        comment="Estimated onset: first day whose answers are left out; null for none.",
    ),
    sa.Column(
        "times",
        FloatArray,
        nullable=False,
        comment="(4,) decayed: paces, their sum, their squares, variances of the speeds.",
    ),
    sa.Column(
        "traffic",
        FloatArray,
        nullable=False,
        comment="(6,) decayed: days, answers, abilities, squares, their variances, of speeds.",
    ),
    sa.ForeignKeyConstraint(["partition", "attempt"], WATCH_KEY),
    comment="A leak watch's items: alarms, usual times and traffic.",
)

leak_detectors = sa.Table(
    "leak_detectors",
    metadata,
    *state_key(),
    *item_key(primary_key=True),
    sa.Column("share", sa.Integer, primary_key=True, autoincrement=False, comment="Its number."),
    sa.Column("position", sa.Integer, nullable=False, comment="Of the item, in the bank's order."),
    sa.Column("log_ratio", Float, nullable=False, comment="log Lambda."),
    sa.Column("onset", sa.Date, nullable=False, comment="Day of the first answer in it."),
    sa.Column("answers", sa.BigInteger, nullable=False, comment="Answers in it."),
    sa.Column("parameters", FloatArray, nullable=False, comment="(3,) a, b, c before the onset."),
    sa.Column("covariance", FloatArray, nullable=False, comment="(3 x 3, by rows) of phi."),
    sa.Column("time_mean", Float, nullable=False, comment="Of log seconds; NaN: not used."),
    sa.Column("time_mean_se", Float, nullable=False),
    sa.Column("time_variance", Float, nullable=False),
    sa.Column("null_weights", FloatArray, nullable=False, comment="(n_nodes,) without a leak."),
    sa.Column("leak_weights", FloatArray, nullable=False, comment="(n_nodes,) with one."),
    sa.ForeignKeyConstraint(["partition", "attempt"], WATCH_KEY),
    comment="Detectors that aren't at zero: one row per item and share.",
)

leak_verdicts = sa.Table(
    "leak_verdicts",
    metadata,
    sa.Column(
        "evaluation_id",
        sa.BigInteger,
        sa.ForeignKey(state_evaluations.c.evaluation_id),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("position", sa.Integer, nullable=False, comment="Place in the state's order."),
    *item_key(primary_key=True),
    sa.Column("is_suspected", sa.Boolean, nullable=False, comment="It or a variant has an alarm."),
    sa.Column("alarm_item", sa.Integer, nullable=False, comment="Position of whose; -1: none."),
    sa.Column("alarm_day", sa.Date),
    sa.Column("onset_day", sa.Date, comment="Of the alarm, or of the present rise."),
    sa.Column("statistic", Float, nullable=False, comment="log Lambda."),
    sa.Column("threshold", Float, nullable=False, comment="Infinite: the item isn't watched."),
    sa.Column("share", Float, nullable=False, comment="Of candidates, that the two are for."),
    sa.Column("answers_since_onset", sa.BigInteger, nullable=False),
    sa.Column("answers_per_day", Float, nullable=False, comment="Current traffic."),
    sa.Column("is_watched", sa.Boolean, nullable=False, comment="Enough is known of it."),
    sa.Column("uses_times", sa.Boolean, nullable=False),
    sa.Column(
        "delay_answers",
        Float,
        nullable=False,
        comment="Expected between a leak and its alarm; infinite: not in useful time.",
    ),
    sa.Column("delay_days", Float, nullable=False),
    comment="Verdicts of the leak watch on a state's items.",
)
