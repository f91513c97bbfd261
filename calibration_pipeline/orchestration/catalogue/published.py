"""Columns of what others read: versions, exposure, the cold-start list, how nights ended."""

from calibration_pipeline.orchestration.catalogue.columns import EVALUATION, Column, item_key

_SLOPE, _INTERCEPT = "anchor_link.slope", "anchor_link.intercept"
_FIT, _ERRORS = "item_fits.parameters", "item_fits.covariance"
_LINK_ERRORS = ("anchor_link.slope_se", "anchor_link.intercept_se")
_ITEM = (
    "calibration_snapshot.discrimination",
    "calibration_snapshot.difficulty",
    "calibration_snapshot.guessing",
)

SNAPSHOT = (
    Column("version", "integer", "The published version: engines pin a session to one."),
    *item_key("item_fits"),
    Column("scale", "text", "The sub-skill or exam that the item belongs to.",
           origins=("anchor_link.scale",)),
    Column("discrimination", "double precision", "a: how sharply the item tells candidates apart. "
           "Stated with the version's scaling constant D.", "per theta", (_FIT, _SLOPE)),
    Column("difficulty", "double precision", "b: the ability at which the item is half known.",
           "theta", (_FIT, _SLOPE, _INTERCEPT)),
    Column("guessing", "double precision", "c: how often somebody who knows nothing is right.",
           "probability", (_FIT,)),
    Column("discrimination_se", "double precision", "Standard error of a.", "per theta",
           (_ERRORS, _SLOPE, _LINK_ERRORS[0])),
    Column("difficulty_se", "double precision", "Standard error of b.", "theta",
           (_ERRORS, _SLOPE, *_LINK_ERRORS)),
    Column("guessing_se", "double precision", "Standard error of c.", "probability", (_ERRORS,)),
    Column("covariance", "double precision[]", "3 × 3, by rows, of (log a, b, logit c).",
           "log scale", (_ERRORS, _SLOPE)),
    Column("track", "text", "provisional, or trusted once the item has answers enough.",
           origins=("item_fits.total_count",)),
    Column("source", "text", "Where the values come from: fitted tonight, carried from the version "
           "before, an anchor's reference, or the author's guess.",
           origins=("item_fits.is_anchor", "item_fits.window_count")),
    Column("window_count", "bigint", "Answers in the window.", "answers",
           ("item_fits.window_count",)),
    Column("total_count", "bigint", "Answers in all.", "answers", ("item_fits.total_count",)),
    Column("at_bound", "text", "Which of a and c stand at a bound; empty: none.",
           origins=(_FIT,)),
)  # fmt: skip

EXPOSURE = (
    Column("control_id", "bigint", "Which search; the newest of a version and scale counts."),
    *item_key("calibration_snapshot"),
    Column("level", "integer", "Of ability, from 0; docs/exposure.md."),
    Column("probability", "double precision", "With which an engine may give the item.",
           "probability", _ITEM),
    Column("simulated_rate", "double precision", "Share of the level's simulated candidates who "
           "saw it.", "share", _ITEM),
    Column("rate_without", "double precision", "The same without control.", "share", _ITEM),
)  # fmt: skip

COLD_START = (
    EVALUATION,
    *item_key("item_fits"),
    Column("scale", "text", "The sub-skill or exam that the item belongs to."),
    Column("total_count", "bigint", "Answers so far.", "answers", ("item_fits.total_count",)),
    Column("difficulty", "double precision", "As believed now.", "theta",
           (_FIT, _SLOPE, _INTERCEPT)),
    Column("difficulty_se", "double precision", "Its standard error.", "theta", (_ERRORS, _SLOPE)),
    Column("answers_needed", "integer", "Further answers until the error is small enough; empty: "
           "more than are planned for.", "answers", (_ERRORS,), nullable=True),
    Column("answers_cautious", "integer", "The same for nine in ten items like this one.",
           "answers", (_ERRORS,), nullable=True),
    Column("answers_unaimed", "integer", "answers_needed with candidates as they come.", "answers",
           (_ERRORS,), nullable=True),
    Column("abilities", "double precision[]", "Of the candidates to show the item to.", "theta",
           (_FIT,)),
    Column("shares", "double precision[]", "Of the answers, at each of these abilities.", "share",
           (_FIT,)),
    Column("path_answers", "integer[]", "Further answers at which path_se is given.", "answers"),
    Column("path_se", "double precision[]", "Expected error of the difficulty after them.",
           "theta", (_ERRORS,)),
)  # fmt: skip

OUTCOMES = (
    Column("run_id", "uuid", "The row of the run log that it ends."),
    Column("outcome", "text", "completed, completed_empty, rejected, audit_failed, failed or "
           "partial."),
    Column("reason", "text", "Why, or what is worth a look."),
    Column("counts", "jsonb", "Answers, items, flags and rows left out, by name."),
    Column("timings", "jsonb", "Duration of each step, by name.", "seconds"),
    Column("finished_at", "timestamptz", "When it was stored."),
)  # fmt: skip

AUDITED = (
    Column("item", "text", "The item; shown with the worst ten."),
    Column("answers", "integer", "Answers that its posterior rests on.", "answers"),
    Column("flagged", "boolean", "It is audited because it is flagged."),
    Column("mean_shift", "double precision[]", "Distance of the exact mean from the Gaussian's, in "
           "posterior standard deviations.", "standard errors", (_FIT,)),
    Column("sd_ratio", "double precision[]", "The Gaussian's standard deviation over the exact "
           "one's: 1 is right.", "ratio", (_ERRORS,)),
    Column("r_hat", "double precision", "Agreement of the sampler's chains: 1 is perfect.",
           "ratio"),
)  # fmt: skip

COMPARED = (
    Column("item", "text", "The item; shown with the ten that differ most."),
    Column("answers", "integer", "Its answers in the sample.", "answers", ("responses.item_id",)),
    Column("ours", "double precision", "Ability at which half of the candidates are right, by our "
           "calibration.", "theta", (_FIT,)),
    Column("theirs", "double precision", "The same by py-irt, brought to our scale.", "theta",
           ("responses.score",)),
)  # fmt: skip
