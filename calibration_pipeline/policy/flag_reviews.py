"""How flags stand with the reviewers: what waits for one, and what somebody has decided.

A decision is dated by the newest night whose flags the reviewer had seen, and holds from the next
one on: the page of an old night tells what was open then, whenever it is written.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_episodes import Subject, flag_episodes
from calibration_pipeline.policy.flag_reasons import SUSPECTED_LEAK
from calibration_pipeline.records import (
    Flag,
    FlagCounts,
    FlagDecision,
    FlagEpisode,
    FlagNight,
    FlagReview,
    ItemKey,
)

OPEN, ACKNOWLEDGED, DISMISSED = "open", "acknowledged", "dismissed"
RESOLVED, RETIRED = "resolved", "retired"
ACKNOWLEDGE, DISMISS, REOPEN = "acknowledge", "dismiss", "reopen"
DECISIONS = (ACKNOWLEDGE, DISMISS, REOPEN)


def review_flags(
    history: Sequence[FlagNight],
    decisions: Sequence[FlagDecision],
    retired: Mapping[ItemKey, date],
    configuration: CalibrationConfiguration,
) -> tuple[FlagReview, ...]:
    """Say how every item's newest episode of each reason stands, by item and reason.

    Parameters
    ----------
    history
        Accepted nights, oldest first, up to the one that is asked about.
    decisions
        Those that are to count, in the order in which they were made.
    retired
        Items that are retired, with the first night for which they are.
    configuration
        What opens a flag, keeps it open, and wakes a dismissed one.
    """
    episodes: dict[Subject, list[FlagEpisode]] = {}
    for episode in flag_episodes(history, configuration):
        episodes.setdefault((episode.key, episode.reason), []).append(episode)
    newest = {(decision.key, decision.flag_reason): decision for decision in decisions}
    return tuple(
        _review(found, newest.get(subject), retired.get(subject[0]), configuration)
        for subject, found in episodes.items()
    )


def undismissed_flags(
    history: Sequence[FlagNight],
    decisions: Sequence[FlagDecision],
    configuration: CalibrationConfiguration,
) -> dict[ItemKey, list[tuple[date, str]]]:
    """Give each item's credible flags as (night, reason), but those that reviewers dismissed.

    A dismissal covers the nights that the reviewer had seen, and later ones as long as the evidence
    has not grown enough; resolved flags too, which `review_flags` doesn't tell apart.

    Parameters
    ----------
    history
        Accepted nights, oldest first.
    decisions
        In the order in which they were made; of each item and reason the newest counts.
    configuration
        How much the evidence must grow.
    """
    newest = {(decision.key, decision.flag_reason): decision for decision in decisions}
    found: dict[ItemKey, list[tuple[date, str]]] = {}
    for night in history:
        for flag in night.flags:
            decision = newest.get((flag.key, flag.reason))
            if flag.is_credible and not _silences(decision, night.partition, flag, configuration):
                found.setdefault(flag.key, []).append((night.partition, flag.reason))
    return found


def count_flags(reviews: Sequence[FlagReview], night: date) -> FlagCounts:
    """Count how flags stand after a night."""
    return FlagCounts(
        open=sum(is_open(review) for review in reviews),
        new=sum(is_new(review, night) for review in reviews),
        resolved=sum(r.status == RESOLVED and r.since == night for r in reviews),
    )


def is_open(review: FlagReview) -> bool:
    """Whether a flag lasts and nobody has dismissed it; acknowledged ones do."""
    return review.status in (OPEN, ACKNOWLEDGED)


def is_new(review: FlagReview, night: date) -> bool:
    """Whether a flag waits for a reviewer since this very night."""
    return review.status == OPEN and review.since == night


def _review(
    episodes: Sequence[FlagEpisode],
    decision: FlagDecision | None,
    retired_from: date | None,
    configuration: CalibrationConfiguration,
) -> FlagReview:
    episode = episodes[-1]
    if episode.resolved_on is not None:
        return FlagReview(episode, RESOLVED, episode.resolved_on)
    if retired_from is not None:
        return FlagReview(episode, RETIRED, retired_from)
    if decision is None:
        return FlagReview(episode, OPEN, episode.opened_on)
    if decision.decision == DISMISS:
        return _dismissed(episodes, decision, configuration)
    is_of_episode = decision.night >= episode.opened_on
    if not is_of_episode:
        return FlagReview(episode, OPEN, episode.opened_on)
    status = ACKNOWLEDGED if decision.decision == ACKNOWLEDGE else OPEN
    return FlagReview(episode, status, decision.night, decision)


def _dismissed(
    episodes: Sequence[FlagEpisode], decision: FlagDecision, configuration: CalibrationConfiguration
) -> FlagReview:
    """A dismissal outlives the episode: it holds until the evidence has grown enough."""
    episode = episodes[-1]
    grew = [
        night
        for found in episodes
        for night, flag in found.seen
        if not _silences(decision, night, flag, configuration)
    ]
    if not grew:
        return FlagReview(episode, DISMISSED, decision.night, decision)
    return FlagReview(episode, OPEN, max(grew[0], episode.opened_on))


def _silences(
    decision: FlagDecision | None, night: date, flag: Flag, configuration: CalibrationConfiguration
) -> bool:
    """Whether a decision dismisses what a night found: it was seen, or is hardly more than that.

    A dismissed leak is watched for from zero again, so that a later alarm is new evidence, however
    large.
    """
    if decision is None or decision.decision != DISMISS:
        return False
    if flag.reason == SUSPECTED_LEAK and flag.is_credible:
        return night <= decision.night
    enough = decision.evidence + configuration.flags.dismissal_growth
    return night <= decision.night or abs(flag.z) < enough
