"""The part of a dry run's store that keeps nights: run log, states, flags, links and answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self
from uuid import uuid4

from calibration_pipeline.records import (
    CalibrationState,
    DayResponses,
    DayRevision,
    Flag,
    FlagNight,
    ItemNight,
    LeakVerdicts,
    LeakWatch,
    ScaleLink,
    ScaleNight,
)
from calibration_pipeline.store import history, snapshots
from calibration_pipeline.store.calibration_store import CalibrationStore
from calibration_pipeline.store.dry_run_answers import RehearsedAnswers
from calibration_pipeline.store.history import NightOutcome
from calibration_pipeline.store.late_answers import LateDay

StateKey = tuple[date, int]


@dataclass
class DryRunNights(CalibrationStore):
    """Nights as `CalibrationStore` has them, and those of a dry run, which it keeps in memory.

    Attributes
    ----------
    engine
        Of read-only transactions (`open_engine`).
    outcomes
        How the nights would end, as the run log would tell it.
    """

    outcomes: list[NightOutcome] = field(init=False, default_factory=list)
    _states: dict[StateKey, CalibrationState] = field(init=False, default_factory=dict)
    _flags: dict[StateKey, tuple[Flag, ...]] = field(init=False, default_factory=dict)
    _links: dict[StateKey, tuple[ScaleLink, ...]] = field(init=False, default_factory=dict)
    _watches: dict[StateKey, LeakWatch] = field(init=False, default_factory=dict)
    _leak_verdicts: dict[StateKey, LeakVerdicts] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._answers = RehearsedAnswers(
            self.engine, self.archive, self.timezone, self.pseudonym_key, self.source
        )

    def __enter__(self) -> Self:
        """See which version engines read now; take no lock."""
        self._followed = snapshots.current_version(self.engine)
        return self

    def __exit__(self, *exception: Any) -> None:
        """Close the connections."""
        self.engine.dispose()

    # Run log

    def run_of(self, partition: date) -> str:
        """Give an id that no run has."""
        return self._runs.setdefault(partition, str(uuid4()))

    def close_run(
        self,
        partition: date,
        outcome: str,
        *,
        counts: Mapping[str, int],
        timings: Mapping[str, float],
        reason: str = "",
    ) -> None:
        """Keep how the night ended."""
        self.outcomes.append(NightOutcome(partition, outcome, reason, dict(counts), dict(timings)))

    # States and results

    def next_attempt(self, partition: date) -> int:
        """Number the next try at a night."""
        kept = [attempt for night, attempt in self._states if night == partition]
        return max([super().next_attempt(partition), *(attempt + 1 for attempt in kept)])

    def write_state(self, state: CalibrationState, watch: LeakWatch | None = None) -> None:
        """Keep a night's state and its leak watch."""
        self._states[state.partition, state.attempt] = state
        if watch is not None:
            self._watches[state.partition, state.attempt] = watch

    def leak_watch(self, state: CalibrationState) -> LeakWatch | None:
        """Read a state's leak watch."""
        return self._watches.get((state.partition, state.attempt)) or super().leak_watch(state)

    def state(self, partition: date, attempt: int | None = None) -> CalibrationState | None:
        """Read a night's state, its newest attempt unless one is named."""
        chosen = attempt or self.next_attempt(partition) - 1
        return self._states.get((partition, chosen)) or super().state(partition, attempt)

    def newest_accepted_state(self, before: date) -> CalibrationState | None:
        """Read the state that a night starts from."""
        kept = [k for k, state in self._states.items() if state.is_accepted and k[0] < before]
        stored = history.newest_accepted_key(self.engine, before)
        key = max([*kept, *([stored] if stored else [])], default=None)
        return self.state(*key) if key else None

    def first_fitted_state(self, before: date, scale: str) -> CalibrationState | None:
        """Read the state that set a scale without anchors: of its first night the newest try."""
        kept = [
            key
            for key, state in self._states.items()
            if state.is_accepted and key[0] < before and _has_fitted(state, scale)
        ]
        stored = history.first_fitted_key(self.engine, before, scale)
        keys = [*kept, *([stored] if stored else [])]
        first = min((night for night, _ in keys), default=None)
        return self.state(*max(key for key in keys if key[0] == first)) if first else None

    def scale_history(self, before: date) -> tuple[ScaleNight, ...]:
        """Read what earlier accepted nights left behind, with those kept here."""
        found = {(n.partition, n.scale): n for n in super().scale_history(before)}
        for key in sorted(self._states):
            state = self._states[key]
            if state.is_accepted and state.partition < before:
                for scale in filter(lambda scale: scale.fitted, state.scales):
                    found[state.partition, scale.name] = ScaleNight.of(state, scale)
        return tuple(sorted(found.values(), key=lambda night: night.partition))

    def write_flags(self, state: CalibrationState, flags: Sequence[Flag]) -> None:
        """Keep a state's flags."""
        ordered = sorted(flags, key=lambda flag: (flag.key, flag.reason))
        self._flags[state.partition, state.attempt] = tuple(ordered)

    def flags(self, state: CalibrationState) -> tuple[Flag, ...]:
        """Read a state's flags."""
        kept = self._flags.get((state.partition, state.attempt))
        return super().flags(state) if kept is None else kept

    def flag_history(self, through: date, *, only_credible: bool) -> tuple[FlagNight, ...]:
        """Read the accepted nights up to one, those kept here in place of stored ones.

        What is flagged credibly here for the first time has no stored flag among them: as none of
        those was credible, none opened an episode.
        """
        nights = {
            night.partition: night
            for night in super().flag_history(through, only_credible=only_credible)
        }
        for key in sorted(self._flags):
            state = self.state(*key)
            if state is not None and state.is_accepted and state.partition <= through:
                nights[state.partition] = _flag_night(state, self._flags[key])
        return tuple(nights[partition] for partition in sorted(nights))

    def write_leak_verdicts(self, state: CalibrationState, verdicts: LeakVerdicts) -> None:
        """Keep the leak watch's verdicts."""
        self._leak_verdicts[state.partition, state.attempt] = verdicts

    def leak_verdicts(self, state: CalibrationState) -> LeakVerdicts | None:
        """Read the leak watch's verdicts."""
        kept = self._leak_verdicts.get((state.partition, state.attempt))
        return kept or super().leak_verdicts(state)

    def write_links(self, state: CalibrationState, links: Sequence[ScaleLink]) -> None:
        """Keep a state's linking constants."""
        ordered = sorted(links, key=lambda link: link.scale)
        self._links[state.partition, state.attempt] = tuple(ordered)

    def links(self, state: CalibrationState) -> tuple[ScaleLink, ...]:
        """Read a state's linking constants."""
        kept = self._links.get((state.partition, state.attempt))
        return super().links(state) if kept is None else kept

    # Answers

    def extract_day(self, day: date, *, refresh: bool = False) -> DayRevision:
        """Extract one day's answers into memory, unless its newest revision holds them all."""
        return self._answers.extract_day(day, refresh=refresh)

    def extract_days_due(
        self, first_night: date, window_days: int, *, refresh: bool = False
    ) -> None:
        """Extract the days that are due before a night into memory."""
        folded_through = self._folded_through(first_night)
        self._answers.extract_days_due(first_night, window_days, folded_through, refresh=refresh)

    def late_answers(self, partition: date) -> tuple[LateDay, ...]:
        """List what would have been extracted for days that a night finds folded."""
        folded_through = self._folded_through(partition)
        archived = super().late_answers(partition)
        if folded_through is None:
            return archived
        kept = (state for (night, _), state in self._states.items() if night < partition)
        folded_here = {day: digest for state in kept for day, _, digest in state.folded}
        return self._answers.late(archived, folded_through, folded_here)

    def erased_sessions(self, day: date) -> int:
        """Count the sessions of erased candidates that a day's source holds."""
        found = self._answers.erased_sessions.get(day)
        return super().erased_sessions(day) if found is None else found

    def archived_days(self, days: Sequence[date]) -> dict[date, DayRevision]:
        """Give the newest revision of each of the days that has one, or would."""
        return self._answers.newest_revisions(days)

    def day(self, day: date, revision: int | None = None) -> DayResponses:
        """Read a day from memory or the archive."""
        kept = self._answers.days.get(day)
        if kept is not None and revision in (None, kept.revision.revision):
            return kept
        return super().day(day, revision)


def _flag_night(state: CalibrationState, flags: Sequence[Flag]) -> FlagNight:
    compared = {difference.key for difference in state.differences}
    items = {
        key: ItemNight(
            int(state.window_counts[j]),
            bool(state.is_updated[j]),
            bool(state.is_anchor[j]),
            key in compared,
        )
        for j, key in enumerate(state.keys)
    }
    return FlagNight(state.partition, tuple(flags), items)


def _has_fitted(state: CalibrationState, scale: str) -> bool:
    return any(known.fitted and known.name == scale for known in state.scales)
