"""Frozen records that the layers exchange.

Ids are strings, days are dates of the configured time zone, arrays are NumPy and never written
to. An item is the pair ``(item_id, content_version)``: an edited item is another item. Array
index and item are matched in one place, `ItemBank.positions`.

Item parameters are stated as columns ``(discrimination, difficulty, guessing)``. Internally an
item is φ = (log discrimination, difficulty, logit guessing), see `calibration_pipeline.irt.model`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

ItemKey = tuple[str, int]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
DayArray = NDArray[np.datetime64]

OUTCOMES = ("scored", "omitted", "not_reached", "invalid")
"""What became of a presented item; an answer's code is its place here."""

PUBLISHED_NOTHING = ("rejected", "audit_failed", "failed")
"""Ends of a night that somebody has to look at; a night with nothing to publish is none of them."""


@dataclass(frozen=True)
class ItemBank:
    """The pool as it stands, in canonical order (by item id, then content version).

    Attributes
    ----------
    keys
        One ``(item_id, content_version)`` per item; every array below follows this order.
    scale_names, scale_models
        Each scale's name and model ('Rasch', '1PL', '2PL' or '3PL').
    scale_index
        ``(n_items,)`` position of the item's scale in `scale_names`.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing as imported; NaN where unknown.
    author_difficulty
        ``(n_items,)`` what the author expected; NaN where nothing was said.
    content_families
        One name or None per item.
    option_counts
        ``(n_items,)`` number of answer options, 0 where unknown.
    is_retired
        ``(n_items,)`` retired items are frozen: their answers inform abilities only.
    digest
        SHA-256 of all of the above.
    """

    keys: tuple[ItemKey, ...]
    scale_names: tuple[str, ...]
    scale_models: tuple[str, ...]
    scale_index: IntArray
    parameters: FloatArray
    author_difficulty: FloatArray
    content_families: tuple[str | None, ...]
    option_counts: IntArray
    is_retired: BoolArray
    digest: str

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.keys)

    @cached_property
    def _position_of(self) -> dict[ItemKey, int]:
        return {key: position for position, key in enumerate(self.keys)}

    def positions(self, keys: Sequence[ItemKey]) -> IntArray:
        """Give the position of each key in this bank, −1 where the bank lacks it."""
        lookup = self._position_of
        return np.fromiter((lookup.get(key, -1) for key in keys), np.int64, len(keys))


@dataclass(frozen=True)
class AnchorSet:
    """Items whose parameters are held fixed: they define the scale.

    Attributes
    ----------
    anchor_set_id
        The stored set's number; None for the empty set of a pool without anchors.
    keys
        The anchors, in canonical order.
    parameters
        ``(n_anchors, 3)`` reference values.
    digest
        SHA-256 of keys and values, and of the references' errors where they have any.
    covariance
        ``(n_anchors, 3, 3)`` of the references' φ: they are estimates themselves. Zeros where a
        reference is taken as known, None where all are.
    """

    anchor_set_id: int | None
    keys: tuple[ItemKey, ...]
    parameters: FloatArray
    digest: str
    covariance: FloatArray | None = None


@dataclass(frozen=True)
class AnchorCandidate:
    """An item of the pool as the selection of anchors saw it.

    Attributes
    ----------
    key, scale, family
        The item, its scale, and its content family; empty if it belongs to none.
    is_present, is_chosen
        It was an anchor before; it is one of the proposed set.
    reason
        Why it was chosen or not.
    stratum
        By difficulty, from 1; None for items that are not part of the pool any more.
    difficulty, difficulty_se
        As estimated, or the reference and the shadow refit's error of an anchor; NaN without.
    total_count
        Answers in all.
    movement, movement_se, movement_margin
        How far the difficulty has moved, its standard error, and within which margin it was tested
        to lie; NaN where there is too little to compare.
    """

    key: ItemKey
    scale: str
    family: str
    is_present: bool
    is_chosen: bool
    reason: str
    stratum: int | None
    difficulty: float
    difficulty_se: float
    total_count: int
    movement: float
    movement_se: float
    movement_margin: float


@dataclass(frozen=True)
class AnchorProposal:
    """An anchor set that was selected; nothing changes before somebody activates it.

    Attributes
    ----------
    night
        Of the state that it was selected from.
    keys, parameters, covariance
        As in `AnchorSet`.
    candidates
        Every item of the pool, in the bank's order.
    remarks
        What a person should know of it, by scale.
    """

    night: date
    keys: tuple[ItemKey, ...]
    parameters: FloatArray
    covariance: FloatArray
    candidates: tuple[AnchorCandidate, ...]
    remarks: dict[str, str]


@dataclass(frozen=True)
class DayRevision:
    """One extraction of one day; a changed source gives a new revision beside the old one."""

    day: date
    revision: int
    digest: str
    response_count: int
    session_count: int
    quarantine_counts: dict[str, int]


@dataclass(frozen=True)
class DayResponses:
    """The sessions that started on one local day, as archived.

    Sessions stand in canonical order (start, then source id), answers in order of presentation.
    What the log didn't state for any answer of the day is None.

    Attributes
    ----------
    revision
        Which extraction this is.
    keys
        The items that occur; `item` points into it.
    session_offsets
        ``(n_sessions + 1,)`` session s holds answers ``session_offsets[s]:session_offsets[s+1]``.
    item
        ``(n_responses,)`` int32 position in `keys`.
    correct
        ``(n_responses,)`` uint8, 1 for a right answer; 0 where none was scored.
    session_pseudonyms, candidate_pseudonyms
        ``(n_sessions,)`` 16-byte keyed hashes (dtype 'S16' would strip zeros: 'V16'). All zeros:
        nobody is named.
    outcome
        ``(n_responses,)`` uint8 place in `OUTCOMES`; None if every answer was scored.
    time_on_task_ms
        ``(n_responses,)`` int32 milliseconds, −1 where unknown.
    starting_ability
        ``(n_sessions,)`` the engine's ability estimate at the session's first item, units of
        theta; NaN where unknown. It was known before any answer of the session.
    population_group
        ``(n_sessions,)`` int32 place in `group_names`, −1 where unknown.
    group_names
        Population groups that occur, in alphabetical order.
    """

    revision: DayRevision
    keys: tuple[ItemKey, ...]
    session_offsets: IntArray
    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    session_pseudonyms: NDArray[np.void]
    candidate_pseudonyms: NDArray[np.void]
    outcome: NDArray[np.uint8] | None = None
    time_on_task_ms: NDArray[np.int32] | None = None
    starting_ability: FloatArray | None = None
    population_group: NDArray[np.int32] | None = None
    group_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswerCounts:
    """Answers by item of the bank.

    Attributes
    ----------
    window
        ``(n_items,)`` in the window.
    total
        ``(n_items,)`` in all.
    days
        Days over which the window's answers came: from its first day with any to its last day.
    """

    window: IntArray
    total: IntArray
    days: int


@dataclass(frozen=True)
class ScreeningCounts:
    """What was found in the answers of a scale.

    Attributes
    ----------
    sessions, answers
        That take part in the fit.
    short_sessions
        Left out because they have too few answers on the scale.
    omitted, not_reached, invalid
        Items given and not answered, by outcome; sessions left out included.
    repeated_exposures
        Answers to an item that their candidate had answered before.
    timed_items, rapid_guesses
        Items with a threshold for rapid guesses, and answers below it.
    judged_sessions, aberrant_sessions
        Sessions whose person fit is known, and those among them that don't follow the model.
    group_sessions
        ``(n_groups,)`` sessions of each population group.
    """

    sessions: int = 0
    answers: int = 0
    short_sessions: int = 0
    omitted: int = 0
    not_reached: int = 0
    invalid: int = 0
    repeated_exposures: int = 0
    timed_items: int = 0
    rapid_guesses: int = 0
    judged_sessions: int = 0
    aberrant_sessions: int = 0
    group_sessions: tuple[int, ...] = ()


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
    screening: ScreeningCounts = ScreeningCounts()


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


@dataclass(frozen=True)
class NightAcceptance:
    """A person's decision to accept a rejected fit; it holds for the state with that digest."""

    partition: date
    state_digest: str
    reason: str
    decided_by: str


@dataclass(frozen=True)
class Flag:
    """A verdict on one item: what was seen, compared with what, and whether it is credible.

    `compared_with` says in words what `reference` is, and `compared_on` which night or day it is
    of; None where it has no date, as a setting has none.
    """

    key: ItemKey
    reason: str
    value: float
    reference: float
    threshold: float
    z: float
    is_credible: bool
    explanation: str
    compared_with: str = ""
    compared_on: date | None = None


@dataclass(frozen=True)
class ItemNight:
    """What a night had to judge an item by: its answers in the window, and how it took part.

    `is_compared` says whether it was compared between population groups.
    """

    window_count: int
    is_updated: bool
    is_anchor: bool
    is_compared: bool


@dataclass(frozen=True)
class FlagNight:
    """One accepted night in the history of flags.

    Attributes
    ----------
    partition
        The night.
    flags
        Its flags, of the items and reasons that the history is about.
    items
        What it had to judge those items by; an item that the bank lacked then is missing.
    """

    partition: date
    flags: tuple[Flag, ...]
    items: dict[ItemKey, ItemNight]


@dataclass(frozen=True)
class FlagEpisode:
    """One stretch of nights on which an item was flagged for a reason.

    Attributes
    ----------
    key, reason
        What it is about.
    seen
        Every night with a flag that opened or kept it, with the flag, oldest first.
    resolved_on
        The night on which it was found to be over; None while it lasts.
    """

    key: ItemKey
    reason: str
    seen: tuple[tuple[date, Flag], ...]
    resolved_on: date | None = None

    @property
    def opened_on(self) -> date:
        """The first night."""
        return self.seen[0][0]

    @property
    def last_seen(self) -> date:
        """The newest night with a flag."""
        return self.seen[-1][0]

    @property
    def newest(self) -> Flag:
        """The newest flag."""
        return self.seen[-1][1]


@dataclass(frozen=True)
class FlagDecision:
    """A reviewer's decision on one item's flag of one reason.

    Attributes
    ----------
    key, flag_reason
        What it is about.
    decision
        'acknowledge', 'dismiss' or 'reopen'.
    night
        The newest night whose flags the reviewer had seen; it holds from the next one on.
    evidence
        |z| of the flag on that night.
    reason, decided_by
        Why, and who.
    decided_at
        When it was recorded.
    """

    key: ItemKey
    flag_reason: str
    decision: str
    night: date
    evidence: float
    reason: str
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True)
class FlagReview:
    """How an item's flag of one reason stands with the reviewers.

    Attributes
    ----------
    episode
        The newest one.
    status
        'open', 'acknowledged', 'dismissed', 'resolved' or 'retired' (the item is).
    since
        The night from which it has this status.
    decision
        The decision behind it; None if nobody has decided anything that still holds.
    """

    episode: FlagEpisode
    status: str
    since: date
    decision: FlagDecision | None = None


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


@dataclass(frozen=True)
class ItemTable:
    """Item estimates as a file states them, in its order.

    Attributes
    ----------
    item_ids
        One id per item, each once.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing; NaN where blank.
    standard_errors
        ``(n_items, 3)`` theirs; NaN where blank or not in the file.
    """

    item_ids: tuple[str, ...]
    parameters: FloatArray
    standard_errors: FloatArray


@dataclass(frozen=True)
class SnapshotItem:
    """One item of a published version, on the reporting scale (the snapshot's D).

    `covariance` is the flattened 3 × 3 matrix of φ; `track` is 'provisional' or 'trusted';
    `source` is 'anchor', 'fitted', 'carried' or 'author'.
    """

    key: ItemKey
    scale: str
    discrimination: float
    difficulty: float
    guessing: float
    discrimination_se: float
    difficulty_se: float
    guessing_se: float
    covariance: tuple[float, ...]
    track: str
    source: str
    window_count: int
    total_count: int
    at_bound: str


@dataclass(frozen=True)
class SnapshotDraft:
    """A version before publication gives it a number, a digest and a time.

    `parent_version` is what `current` pointed at when the run began, or what the run has moved it
    to: publication requires that it still does. None before the first publication.
    """

    partition: date
    attempt: int
    parent_version: int | None
    scaling_constant: float
    window_start: date
    window_end: date
    run_id: str
    configuration: dict[str, Any]
    package_versions: dict[str, str]
    data_digest: str
    links: tuple[ScaleLink, ...]
    population: dict[str, dict[str, float]]


@dataclass(frozen=True)
class SnapshotManifest:
    """What a version is and where it came from."""

    version: int
    partition: date
    attempt: int
    parent_version: int | None
    scaling_constant: float
    window_start: date
    window_end: date
    run_id: str
    configuration: dict[str, Any]
    package_versions: dict[str, str]
    data_digest: str
    links: tuple[ScaleLink, ...]
    population: dict[str, dict[str, float]]
    content_digest: str
    published_at: datetime


@dataclass(frozen=True)
class AuditFinding:
    """One rule of the publication audit and what it found."""

    rule: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class CandidateAbilities:
    """A night's abilities, one per session and scale; one entry per row in every field.

    `theta` is the posterior mean and `theta_se` the posterior standard deviation, both in units
    of theta; pseudonyms are 16-byte keyed hashes (dtype 'V16').
    """

    scales: tuple[str, ...]
    session_pseudonyms: NDArray[np.void]
    candidate_pseudonyms: NDArray[np.void]
    theta: FloatArray
    theta_se: FloatArray
    response_counts: IntArray
