"""Flags over the nights: they open, persist and resolve, so that none is raised anew every night.

What is stored is each night's flags and nothing else; the episodes follow from them, along the
accepted nights. Whoever runs a night again, or backfills a range, gets the same ones.

Estimates of successive nights share most of their answers, and one at a threshold crosses it back
and forth. Three things keep its flag from flapping:

- it opens on strong evidence and persists on weaker evidence (a Schmitt trigger): to open it must
  be credible, to persist |z| must be `persistent_z` at least;
- it resolves after `resolve_nights` nights in a row without it, on which the item was judged: too
  few answers to see a flag are no answer to it;
- a change (`flag_reasons.CHANGES`) stays open for a window after it was last seen. What the item
  is compared with is soon that after the change, and the flag goes out although the item is
  another one than before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import CHANGES, was_judged
from calibration_pipeline.records import Flag, FlagEpisode, FlagNight, ItemKey

Subject = tuple[ItemKey, str]
"""An item and the reason for which it is flagged."""


def flag_episodes(
    history: Sequence[FlagNight], configuration: CalibrationConfiguration
) -> tuple[FlagEpisode, ...]:
    """Find every episode of a history, by item, reason and start.

    Parameters
    ----------
    history
        Accepted nights, oldest first.
    configuration
        What opens an episode, and what keeps it open.
    """
    nights: dict[Subject, list[tuple[FlagNight, Flag | None]]] = {}
    for number, night in enumerate(history):
        tonight = {(flag.key, flag.reason): flag for flag in night.flags}
        for subject in tonight.keys() - nights.keys():
            nights[subject] = [(earlier, None) for earlier in history[:number]]
        for subject, course in nights.items():
            course.append((night, tonight.get(subject)))
    return tuple(
        episode
        for subject in sorted(nights)
        for episode in _episodes_of(subject, nights[subject], configuration)
    )


@dataclass
class _Open:
    """An episode under way, and for how many judged nights in a row it has not been seen."""

    episode: FlagEpisode
    unseen: int = field(default=0)


def _episodes_of(
    subject: Subject,
    course: Sequence[tuple[FlagNight, Flag | None]],
    configuration: CalibrationConfiguration,
) -> Iterator[FlagEpisode]:
    """Walk through the nights of one item and reason."""
    key, reason = subject
    now: _Open | None = None
    for night, flag in course:
        if flag is not None and _counts(flag, configuration, is_open=now is not None):
            before = now.episode.seen if now else ()
            now = _Open(FlagEpisode(key, reason, (*before, (night.partition, flag))))
        elif now is not None:
            if was_judged(reason, night.items.get(key), configuration):
                now.unseen += 1
            if _is_over(now, night.partition, configuration):
                yield replace(now.episode, resolved_on=night.partition)
                now = None
    if now is not None:
        yield now.episode


def _counts(flag: Flag, configuration: CalibrationConfiguration, *, is_open: bool) -> bool:
    """Whether a night's flag opens an episode, or keeps one open."""
    if flag.is_credible or not configuration.flags.review_only_credible:
        return True
    return is_open and abs(flag.z) >= configuration.flags.persistent_z


def _is_over(now: _Open, night: date, configuration: CalibrationConfiguration) -> bool:
    if now.unseen < configuration.flags.resolve_nights:
        return False
    window = timedelta(days=configuration.window_days)
    return now.episode.reason not in CHANGES or night - now.episode.last_seen >= window
