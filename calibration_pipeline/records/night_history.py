"""What a night's page looks back on: items over the nights, and the programme's figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from calibration_pipeline.records.arrays import FloatArray, IntArray, ItemKey


@dataclass(frozen=True)
class ObservedProportions:
    """The answers to one item, in bins of ability of about as many answers each.

    The ability of each answer is that of the session's *other* answers, so that an answer doesn't
    take part in judging itself.

    Attributes
    ----------
    ability
        ``(n_bins,)`` mean ability of the bin, ascending; on the scale of the state.
    answers, right
        ``(n_bins,)`` answers, and right ones among them.
    expected
        ``(n_bins,)`` share of right answers that tonight's parameters predict. It lies flatter
        than the curve, because abilities are not known exactly.
    """

    ability: FloatArray
    answers: IntArray
    right: IntArray
    expected: FloatArray


@dataclass(frozen=True)
class ItemEstimate:
    """An item's difficulty as an accepted night estimated it, on the scale of its state.

    Of an anchor it is the shadow refit: what the window alone says.
    """

    night: date
    difficulty: float
    difficulty_se: float
    total_count: int
    is_anchor: bool


@dataclass(frozen=True)
class NightFigures:
    """A published night in a few figures.

    Attributes
    ----------
    night, version
        The night, and the newest version that it published.
    usable, provisional, retired
        Items of the version: trusted and in use; not trusted yet and in use; retired.
    sessions, ability_se
        Sessions whose ability was estimated under it, and their mean standard error; 0 and NaN
        where no abilities are kept any more.
    """

    night: date
    version: int
    usable: int
    provisional: int
    retired: int
    sessions: int
    ability_se: float


@dataclass(frozen=True)
class AnchorDisplacement:
    """How far the shadow refits of a night's anchors stand from where these are held.

    In units of theta; `spread` is the root mean square of the displacements.
    """

    night: date
    anchors: int
    mean: float
    spread: float


@dataclass(frozen=True)
class NightHistory:
    """What the nights up to one left behind, oldest first.

    Attributes
    ----------
    since
        The first night that is looked back on.
    figures
        Nights that published a version.
    displacements
        Accepted nights with anchors.
    estimates
        Of the items that were asked for, by item.
    seconds, own_seconds
        What each step took: of earlier nights, one entry per night, and of the newest whole run of
        the night itself; empty while that is under way.
    """

    since: date = date.min
    figures: tuple[NightFigures, ...] = ()
    displacements: tuple[AnchorDisplacement, ...] = ()
    estimates: Mapping[ItemKey, tuple[ItemEstimate, ...]] = field(default_factory=dict)
    seconds: tuple[dict[str, float], ...] = ()
    own_seconds: Mapping[str, float] = field(default_factory=dict)
