"""One item's whole story, gathered from the store and put into documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.interfaces.flag_reviews import (
    decision_documents,
    evidence_documents,
    flags_now,
    review_document,
)
from calibration_pipeline.interfaces.leak_documents import leak_document
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.item_curves import observed_proportions
from calibration_pipeline.policy.item_story import (
    AnswerStory,
    change_in_words,
    changes_between,
    published_trajectory,
    tell_answers,
)
from calibration_pipeline.policy.leak_watch import left_out_in
from calibration_pipeline.records import (
    BankEntry,
    CalibrationState,
    DayAnswers,
    DayResponses,
    FloatArray,
    ItemKey,
    ItemVersion,
    NightDifficulty,
    ObservedProportions,
)
from calibration_pipeline.store import item_story as reading
from calibration_pipeline.store.anchor_history import read_anchor_history
from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import read_bank
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.exposure import read_exposure
from calibration_pipeline.store.extraction import read_day
from calibration_pipeline.store.flag_decisions import read_retirements
from calibration_pipeline.store.history import newest_accepted_key
from calibration_pipeline.store.leak_verdicts import read_leak_verdicts
from calibration_pipeline.store.leak_watches import read_leak_watch
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline.store.states import read_state
from calibration_pipeline.store.telling import Tell, tell_nobody, told


@dataclass(frozen=True)
class ItemStory:
    """What is known of one item.

    Attributes
    ----------
    entry
        As the bank has it.
    anchor_set
        Number of the set in force in which it is held; None of other items.
    retired_from
        First night on which it is retired; None while it is not.
    current
        The version that engines read; None before the first.
    versions
        Its published values, the oldest first.
    trajectory, held_at
        Its difficulty by night, oldest first: as published, and of an anchor what each window alone
        says; and where an anchor is held, None of other items.
    answers
        Its answers, summed up.
    flags, evidence, decisions
        How its flags stand, what each night found, and what people decided; as flat rows.
    leak
        The newest verdict of the leak watch; None before the first.
    exposure
        With what probability the version in force opens it, by level of ability; empty without
        control.
    curve
        ``(3,)`` parameters of the newest accepted night, an anchor's as held; None before it.
    observed
        The window's answers against `curve`, by ability; None without answers.
    scaling_constant
        D of `curve`.
    missing
        Why some answers could not be read; empty if none.
    """

    entry: BankEntry
    anchor_set: int | None
    retired_from: date | None
    current: int | None
    versions: tuple[ItemVersion, ...]
    trajectory: tuple[NightDifficulty, ...]
    held_at: float | None
    answers: AnswerStory
    flags: list[dict[str, Any]]
    evidence: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    leak: dict[str, Any] | None
    exposure: list[dict[str, Any]]
    curve: FloatArray | None
    observed: ObservedProportions | None
    scaling_constant: float
    missing: str

    @property
    def in_force(self) -> ItemVersion | None:
        """Its values in the version that engines read."""
        return next((own for own in self.versions if own.version == self.current), None)


def read_item_story(
    database: Database,
    archive: Archive,
    configuration: CalibrationConfiguration,
    key: ItemKey,
    tell: Tell = tell_nobody,
) -> ItemStory:
    """Gather all that is on record of an item, which the bank has to have.

    Days that the archive can't give any more are left out, and `missing` says so.
    """
    entry = reading.read_bank_entry(database, key)
    newest = newest_accepted_key(database, date.max)
    state = read_state(database, *newest) if newest else None
    now = flags_now(database, configuration, key)
    anchors = read_anchor_set(database, date.max)
    current = current_version(database)
    files = reading.archived_days(database)
    days, missing = _count_days(archive, key, files, tell)
    observed = None
    if state is not None and not missing:
        observed = _observed(database, archive, state, key, configuration, tell)
    with_answers = [day for day, _ in files]
    versions = reading.read_item_versions(database, key)
    held_at = None
    if key in anchors.keys:
        held_at = float(anchors.parameters[anchors.keys.index(key), 1])
    return ItemStory(
        entry=entry,
        anchor_set=anchors.anchor_set_id if key in anchors.keys else None,
        retired_from=read_retirements(database, date.max).get(key),
        current=current,
        versions=versions,
        trajectory=(published_trajectory(versions) if held_at is None else _shadows(database, key)),
        held_at=held_at,
        answers=tell_answers(key, entry.scale, state, days, with_answers, configuration),
        flags=[review_document(review) for review in now.reviews],
        evidence=evidence_documents(key, now),
        decisions=decision_documents(database, key),
        leak=_leak(database, state, key),
        exposure=_exposure(database, current, key),
        curve=_curve(state, key),
        observed=observed,
        scaling_constant=configuration.em.scaling_constant,
        missing=missing,
    )


def _shadows(database: Database, key: ItemKey) -> tuple[NightDifficulty, ...]:
    """An anchor's shadow refits; a night without a fit has none, and its error is 0."""
    return tuple(
        NightDifficulty(own.night, own.shadow_difficulty, own.shadow_se)
        for own in read_anchor_history(database, key)
        if own.shadow_se > 0.0
    )


def _count_days(
    archive: Archive, key: ItemKey, files: Sequence[tuple[date, str]], tell: Tell
) -> tuple[list[DayAnswers], str]:
    days, missing = [], ""
    for day, file_name in told(tell, "Counting answers, by day", files):
        try:
            days.append(reading.count_answers_of(archive, key, day, file_name))
        except NightBlockedError as error:
            missing = missing or str(error)
    return days, missing


def _observed(
    database: Database,
    archive: Archive,
    state: CalibrationState,
    key: ItemKey,
    configuration: CalibrationConfiguration,
    tell: Tell,
) -> ObservedProportions | None:
    """Hold the window's answers against the curve; None where the window isn't kept any more."""
    bank = read_bank(database, state.partition)
    days: list[DayResponses] = []
    try:
        for day, revision, _ in told(tell, "Reading the window, by day", state.window):
            days.append(read_day(database, archive, day, revision))
    except NightBlockedError:
        return None
    watch = read_leak_watch(database, state.partition, state.attempt)
    found = observed_proportions(
        state, days, bank, [key], configuration, left_out_from=left_out_in(watch, bank)
    )
    return found.get(key)


def _curve(state: CalibrationState | None, key: ItemKey) -> FloatArray | None:
    if state is None or key not in state.keys:
        return None
    own = state.parameters[state.keys.index(key)]
    return own if np.isfinite(own).all() else None


def _leak(
    database: Database, state: CalibrationState | None, key: ItemKey
) -> dict[str, Any] | None:
    found = read_leak_verdicts(database, state.partition) if state else None
    if state is None or found is None or key not in found[0]:
        return None
    return {"night": state.partition} | leak_document(*found, found[0].index(key))


def _exposure(database: Database, version: int | None, key: ItemKey) -> list[dict[str, Any]]:
    controls = read_exposure(database, version) if version else ()
    return [
        {
            "level": level,
            "theta_above": control.cuts[level - 1] if level else None,
            "theta_up_to": control.cuts[level] if level < len(control.cuts) else None,
            "probability": float(control.probability[level, j]),
            "simulated_rate": float(control.rates[level, j]),
            "rate_without": float(control.rates_without[level, j]),
            "maximum_rate": control.maximum_rate,
        }
        for control in controls
        if key in control.keys
        for j in [control.keys.index(key)]
        for level in range(len(control.cuts) + 1)
    ]


def story_document(story: ItemStory) -> dict[str, Any]:
    """Give a story as JSON holds it: all versions and all evidence."""
    entry = asdict(story.entry)
    item_id, version = entry.pop("key")
    return {
        "item_id": item_id,
        "content_version": version,
        **entry,
        "anchor_set": story.anchor_set,
        "retired_from": story.retired_from,
        "current_version": story.current,
        "versions": version_documents(story),
        "difficulty_by_night": [asdict(night) for night in story.trajectory],
        "held_at": story.held_at,
        "answers": asdict(story.answers) | {"share_right": story.answers.share_right},
        "flags": story.flags,
        "evidence": story.evidence,
        "decisions": story.decisions,
        "leak_watch": story.leak,
        "exposure": story.exposure,
        "response_curve": {
            "scaling_constant": story.scaling_constant,
            "parameters": story.curve,
            "observed": asdict(story.observed) if story.observed else None,
        },
        "missing": story.missing or None,
    }


def version_documents(story: ItemStory) -> list[dict[str, Any]]:
    """Give an item's published values as flat rows, the oldest first, with what changed in each."""
    rows = []
    for own, change in zip(story.versions, changes_between(story.versions), strict=True):
        values = asdict(own)
        item = values.pop("item")
        for name in ("key", "covariance", "scale"):
            del item[name]
        shift = change.difficulty
        rows.append(
            values
            | item
            | {
                "is_current": own.version == story.current,
                "change": change_in_words(change),
                "difficulty_by": shift.by if shift else None,
                "difficulty_in_standard_errors": shift.in_standard_errors if shift else None,
            }
        )
    return rows
