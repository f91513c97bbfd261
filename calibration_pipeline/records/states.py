"""What a night knows about the items and the scale, and hands to the next one."""

from dataclasses import dataclass, field
from datetime import date

from calibration_pipeline.records.answers import ScreeningCounts
from calibration_pipeline.records.arrays import BoolArray, DayArray, FloatArray, IntArray, ItemKey

PUBLISHED_NOTHING = ("rejected", "audit_failed", "failed")
"""Ends of a night that somebody has to look at; a night with nothing to publish is none of them."""


@dataclass(frozen=True)
class GroupPopulation:
    """Abilities of one group of sessions: normal around ``mean + slope · starting ability``.

    New candidates have no starting ability; their slope says nothing.
    """

    name: str
    mean: float
    slope: float
    sd: float
    session_count: int


@dataclass(frozen=True)
class ScaleState:
    """What a night found out about one scale.

    `population_mean` and `population_sd` are those of all sessions together. They and the
    `groups` are stated on the stored scale, that of `parameters`. ``linking_slope`` and
    ``linking_intercept`` brought the night's own scale to the stored one (1 and 0 where anchors
    fix it): b_stored = slope · b + intercept. `common_start` is the ability that the test engine
    starts new candidates from, None if it has none. `screening` says what was found in the answers.
    `released_anchors` are (``item_id@content_version``, why) of the anchors that tonight's fit did
    not hold, because they have credibly moved.
    """

    name: str
    fitted: bool
    reason: str
    population_mean: float
    population_sd: float
    linking_slope: float
    linking_intercept: float
    log_likelihood: float
    cycles: int
    converged: bool
    session_count: int
    response_count: int
    groups: tuple[GroupPopulation, ...] = ()
    common_start: float | None = None
    screening: ScreeningCounts = field(default_factory=ScreeningCounts)
    released_anchors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ItemDifference:
    """How an item works in one population group, compared with another at equal ability.

    Attributes
    ----------
    key
        The item.
    group, reference
        Names of the two groups.
    shift, shift_se
        How much harder the item is for the group, on the stored scale; and its standard error.
    mh_delta, mh_delta_se
        The same as a Mantel–Haenszel delta: negative where it is harder.
    adjusted_p_value
        Smallest false discovery rate, over the items that were compared, at which it differs.
    """

    key: ItemKey
    group: str
    reference: str
    shift: float
    shift_se: float
    mh_delta: float
    mh_delta_se: float
    adjusted_p_value: float


@dataclass(frozen=True)
class CalibrationState:
    """Everything the next night needs, and the night's fit. Keyed by (partition, attempt).

    The posterior of an item is base prior × carried information × window likelihood; the three
    are kept apart so that each answer counts once (docs/architecture.md, "Each answer once").
    Gaussians on φ. Rows and columns of a coordinate that the item's model lacks are zero.

    Attributes
    ----------
    partition, attempt
        The night's local day, and which try at it this is (1, 2, …).
    is_accepted, reasons
        The verdict on the fit; the reasons say why it was rejected.
    keys
        The items, in the bank's order at that night.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing; anchors at their reference.
    covariance
        ``(n_items, 3, 3)`` of φ; for anchors that of the shadow refit.
    prior_mean, prior_precision
        ``(n_items, 3)`` and ``(n_items, 3)`` base prior on φ (independent coordinates).
    carried_information, carried_linear
        ``(n_items, 3, 3)`` Λ and ``(n_items, 3)`` η of the days that have left the window.
    carried_shift, carried_shift_se
        ``(n_items,)`` how much harder later answers make the item than earlier ones do, in units of
        b, and the standard error: the window's against the carried ones, or its newer half's
        against all before, whichever says more. They share no answer. NaN where it can't be said.
    is_contradicted
        ``(n_items,)`` the shift was credible, and what the item carried was dropped tonight.
    carried_from
        ``(n_items,)`` datetime64[D], the first day whose answers the item may carry. Earlier ones
        are of the item as it was before it changed. NaT: none has been found to have changed.
    shadow_parameters
        ``(n_items, 3)`` anchors: the shadow refit; other items: equal to `parameters`.
    window_counts, total_counts
        ``(n_items,)`` answers in the window, and in all that were ever folded or are in it.
    infit, outfit, infit_se, outfit_se
        ``(n_items,)`` mean squares on predictions from the session's other answers, and their
        standard deviations under the model; NaN without answers.
    is_anchor, is_updated
        ``(n_items,)`` held fixed tonight; had answers tonight and was re-estimated.
    scales
        One entry per scale of the bank.
    folded_through
        The last day whose answers are in the carried information; None before the first fold.
    window
        The (day, revision, digest) of every day in the window.
    folded
        The (day, revision, digest) of every day that was folded in tonight.
    parent
        ``(partition, attempt)`` of the accepted state this one starts from, None on the first.
    anchor_set_id, bank_digest, anchor_digest, configuration_digest
        What it was computed from.
    digest
        SHA-256 of the content, without ids of runs, times or triggers.
    differences
        Every item with enough answers in the largest population group and another one, by item
        and group; empty where the answers name fewer than two groups.
    leak_digest
        SHA-256 of the leak watch's running values after the night; empty if it didn't watch.
    item_prior_fit
        Number of the fit that gave items without enough answers their base priors; None: none did.
    """

    partition: date
    attempt: int
    is_accepted: bool
    reasons: tuple[str, ...]
    keys: tuple[ItemKey, ...]
    parameters: FloatArray
    covariance: FloatArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    carried_information: FloatArray
    carried_linear: FloatArray
    carried_shift: FloatArray
    carried_shift_se: FloatArray
    is_contradicted: BoolArray
    carried_from: DayArray
    shadow_parameters: FloatArray
    window_counts: IntArray
    total_counts: IntArray
    infit: FloatArray
    outfit: FloatArray
    infit_se: FloatArray
    outfit_se: FloatArray
    is_anchor: BoolArray
    is_updated: BoolArray
    scales: tuple[ScaleState, ...]
    folded_through: date | None
    window: tuple[tuple[date, int, str], ...]
    folded: tuple[tuple[date, int, str], ...]
    parent: tuple[date, int] | None
    anchor_set_id: int | None
    bank_digest: str
    anchor_digest: str
    configuration_digest: str
    digest: str
    differences: tuple[ItemDifference, ...] = ()
    leak_digest: str = ""
    item_prior_fit: int | None = None


@dataclass(frozen=True)
class NightAcceptance:
    """A person's decision to accept a rejected fit; it holds for the state with that digest."""

    partition: date
    state_digest: str
    reason: str
    decided_by: str


@dataclass(frozen=True)
class ScaleLink:
    """Linking constants of one scale: b* = slope · b + intercept, a* = a / slope.

    `anchors_left_out` says why, by ``item_id@content_version``. The standard errors and the
    covariance of the two are 0 where nothing was estimated.
    """

    scale: str
    method: str
    slope: float
    intercept: float
    anchors_used: int
    anchors_left_out: dict[str, str]
    is_within_bounds: bool
    slope_se: float = 0.0
    intercept_se: float = 0.0
    slope_intercept_covariance: float = 0.0
