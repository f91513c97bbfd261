"""What a night's page looks back on: items over the nights, and the programme's figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from calibration_pipeline.records.arrays import FloatArray, IntArray, ItemKey


@dataclass(frozen=True)
class AnswersSince:
    """The window's answers to one item from a day on, and how many of them were right.

    `expected` is the share of right answers that the state's parameters predict.
    """

    day: date
    answers: int
    right: int
    expected: float

    @property
    def words(self) -> str:
        """Both shares, in a sentence."""
        return (
            f"Since {self.day} {self.right:,} of its {self.answers:,} answers in the window were "
            f"right ({self.right / self.answers:.0%}); its parameters expect {self.expected:.0%}."
        )


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
        ``(n_bins,)`` share of right answers that the state's parameters predict, an anchor's
        reference included. It lies flatter than the curve, as abilities are not known exactly.
    since_onset
        The answers since a suspected leak began; None without a suspicion, or without answers.
    """

    ability: FloatArray
    answers: IntArray
    right: IntArray
    expected: FloatArray
    since_onset: AnswersSince | None = None


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
