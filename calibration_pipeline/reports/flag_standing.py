"""Tonight's flags by how they stand with the reviewers: what is new comes first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records import Flag, FlagCounts, FlagReview

OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"


@dataclass(frozen=True)
class FlagStanding:
    """Tonight's flags, and those that only earlier nights raised.

    Attributes
    ----------
    new
        Wait for a reviewer since tonight.
    known
        Open or acknowledged since an earlier night.
    silent
        Credible, and dismissed, or of a retired item.
    others
        Thresholds that chance explains, with no open flag behind them.
    unseen
        Open or acknowledged, and not flagged tonight.
    resolved
        Found tonight to be over.
    """

    new: tuple[Flag, ...]
    known: tuple[Flag, ...]
    silent: tuple[Flag, ...]
    others: tuple[Flag, ...]
    unseen: tuple[FlagReview, ...]
    resolved: tuple[FlagReview, ...]

    @property
    def counts(self) -> FlagCounts:
        """The figures that the terminal and Dagster show of this night."""
        n_open = len(self.new) + len(self.known) + len(self.unseen)
        return FlagCounts(n_open, len(self.new), len(self.resolved))


def flag_standing(
    flags: Sequence[Flag], reviews: Sequence[FlagReview], night: date
) -> FlagStanding:
    """Sort a night's flags; a credible one without a review waits since tonight.

    Parameters
    ----------
    flags
        The night's.
    reviews
        As they stood when the night's flags were written.
    night
        Which night.
    """
    current = {(r.episode.key, r.episode.reason): r for r in reviews if r.status != RESOLVED}
    parts: dict[str, list[Flag]] = {"new": [], "known": [], "silent": [], "others": []}
    for flag in flags:
        parts[_part(flag, current.get((flag.key, flag.reason)), night)].append(flag)
    tonight = {(flag.key, flag.reason) for flag in flags}
    return FlagStanding(
        **{name: tuple(found) for name, found in parts.items()},
        unseen=tuple(
            r
            for r in reviews
            if r.status in (OPEN, ACKNOWLEDGED) and (r.episode.key, r.episode.reason) not in tonight
        ),
        resolved=tuple(r for r in reviews if r.status == RESOLVED and r.since == night),
    )


def _part(flag: Flag, review: FlagReview | None, night: date) -> str:
    if review is None:
        return "new" if flag.is_credible else "others"
    if review.status in (OPEN, ACKNOWLEDGED):
        return "new" if review.status == OPEN and review.since == night else "known"
    return "silent" if flag.is_credible else "others"
