"""Columns of what a night finds out: fits, flags, links, priors of new items."""

from calibration_pipeline.orchestration.catalogue.columns import (
    EVALUATION,
    NIGHT,
    Column,
    item_key,
)

_ANSWERS = ("responses.score", "responses.item_id", "responses.session_pseudonym")
_FITTED = ("item_fits.parameters", "item_fits.covariance")

FITS = (
    NIGHT,
    Column("attempt", "integer", "Which try at the night, from 1; the newest counts."),
    Column("position", "integer", "Place of the item in the bank's order, from 0."),
    *item_key("responses"),
    Column("parameters", "double precision[]", "Discrimination (per unit of θ), difficulty (θ) and "
           "guessing (a probability). Anchors stand at their reference.",
           origins=(*_ANSWERS, "item_fits.carried_information", "item_fits.carried_linear")),
    Column("covariance", "double precision[]", "3 × 3, by rows: how uncertain the three are.",
           "log scale", (*_ANSWERS, "item_fits.carried_information")),
    Column("prior_mean", "double precision[]", "What was believed of the item before any answer: "
           "the author's guess, or what items like it teach.", "log scale"),
    Column("prior_precision", "double precision[]", "How firmly: one over the prior's variances.",
           "log scale"),
    Column("carried_information", "double precision[]", "3 × 3, by rows: what answers older than "
           "the window say, each counted once.", "log scale",
           ("responses.score", "item_fits.carried_information")),
    Column("carried_linear", "double precision[]", "Where those answers point.", "log scale",
           ("responses.score", "item_fits.carried_linear")),
    Column("carried_shift", "double precision", "How much harder newer answers make the item than "
           "older ones do.", "theta", ("responses.score", "item_fits.carried_linear")),
    Column("carried_shift_se", "double precision", "Its standard error.", "theta",
           ("responses.score", "item_fits.carried_information")),
    Column("is_contradicted", "boolean", "Newer answers contradict older ones so clearly that the "
           "older ones were dropped tonight."),
    Column("carried_from", "date", "First day whose answers it may carry; empty: any.",
           nullable=True),
    Column("shadow_parameters", "double precision[]", "Of anchors: what their own answers say, "
           "beside the reference that they are held at. As `parameters` for other items.",
           origins=_ANSWERS),
    Column("window_count", "bigint", "Answers in the window.", "answers", ("responses.item_id",)),
    Column("total_count", "bigint", "Answers in all.", "answers",
           ("responses.item_id", "item_fits.total_count")),
    Column("infit", "double precision", "Fit to the model, by informative answers: 1 is as "
           "expected, more is noisier. Not a number without answers.", "mean square", _ANSWERS),
    Column("outfit", "double precision", "The same with unexpected answers counted in full.",
           "mean square", _ANSWERS),
    Column("infit_se", "double precision", "How far infit strays by chance.", "mean square"),
    Column("outfit_se", "double precision", "How far outfit strays by chance.", "mean square"),
    Column("is_anchor", "boolean", "Held at its reference: anchors fix the scale."),
    Column("is_updated", "boolean", "Had answers and was estimated tonight."),
)  # fmt: skip

FLAGS = (
    EVALUATION,
    *item_key("item_fits"),
    Column("reason", "text", "What the item is flagged for; docs/flags.md has them all."),
    Column("value", "double precision", "What was seen, in the unit of the reason.",
           origins=("item_fits.parameters", "item_fits.infit", "item_fits.outfit")),
    Column("reference", "double precision", "What it was compared with, in the same unit.",
           origins=("item_fits.parameters", "item_fits.shadow_parameters")),
    Column("threshold", "double precision", "How much is tolerated, in the same unit."),
    Column("z", "double precision", "The distance in standard errors.", "standard errors",
           _FITTED),
    Column("is_credible", "boolean", "More than chance: what a reviewer should look at."),
    Column("explanation", "text", "The finding in words."),
    Column("compared_with", "text", "What `reference` is, in words."),
    Column("compared_on", "date", "Night or day that the reference is of.", nullable=True),
)  # fmt: skip

LINKS = (
    EVALUATION,
    Column("scale", "text", "The sub-skill or exam that is linked."),
    Column("method", "text", "How the constants were found; docs/linking.md."),
    Column("slope", "double precision", "How much wider the night's scale is than the reference: "
           "published difficulty = slope · b + intercept.", "ratio",
           ("item_fits.shadow_parameters", "item_flags.is_credible")),
    Column("intercept", "double precision", "How far the night's scale lies off the reference.",
           "theta", ("item_fits.shadow_parameters", "item_flags.is_credible")),
    Column("anchors_used", "integer", "Anchors that the constants rest on."),
    Column("anchors_left_out", "jsonb", "The others, each with its reason.",
           origins=("item_flags.reason", "item_fits.window_count")),
    Column("is_within_bounds", "boolean", "Near enough to (1, 0) for publication."),
    Column("slope_se", "double precision", "Standard error of the slope.", "ratio",
           ("item_fits.covariance",)),
    Column("intercept_se", "double precision", "Standard error of the intercept.", "theta",
           ("item_fits.covariance",)),
    Column("slope_intercept_covariance", "double precision", "How the two errors go together.",
           "theta", ("item_fits.covariance",)),
)  # fmt: skip

PRIORS = (
    Column("fit_id", "bigint", "Which weekly fit; the newest accepted one counts."),
    *item_key("item_fits"),
    Column("scale", "text", "The sub-skill or exam that the item belongs to."),
    Column("position", "integer", "Place among the scale's items, from 0."),
    Column("mean", "double precision[]", "What items like this one say of it, without its own "
           "answers.", "log scale", _FITTED),
    Column("covariance", "double precision[]", "3 × 3, by rows: how uncertain that is.",
           "log scale", _FITTED),
    Column("teaches", "boolean", "The fit learned from this item."),
)  # fmt: skip
