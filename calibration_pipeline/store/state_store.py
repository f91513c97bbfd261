"""The part of the store that holds the pool, nights' states, and what is computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records import (
    AnchorSet,
    CalibrationState,
    Flag,
    FlagDecision,
    FlagNight,
    ItemBank,
    ItemKey,
    ItemPriorFit,
    LeakVerdicts,
    LeakWatch,
    NightAcceptance,
    ScaleLink,
    ScaleNight,
)
from calibration_pipeline.store import (
    acceptances,
    flag_decisions,
    flags,
    history,
    item_priors,
    leak_verdicts,
    results,
    staleness,
    states,
)
from calibration_pipeline.store.store_base import StoreBase


@dataclass
class StateStore(StoreBase):
    """Read the pool; read and write states, flags and links."""

    # Pool

    def bank(self, as_of: date) -> ItemBank:
        """Read the pool as decided up to a day."""
        return self._cached_bank(as_of)

    def anchors(self, as_of: date) -> AnchorSet:
        """Read the anchor set in force on a day."""
        return self._cached_anchors(as_of)

    def item_priors(self, night: date) -> ItemPriorFit | None:
        """Read the priors of new items that a night may use; None before the first."""
        number = item_priors.fit_in_use(self.engine, night)
        return None if number is None else self.item_prior_fit(number)

    def item_prior_fit(self, number: int) -> ItemPriorFit:
        """Read priors of new items by their number."""
        return self._cached_item_priors(number)

    # States

    def next_attempt(self, partition: date) -> int:
        """Number the next try at a night."""
        return states.next_attempt(self.engine, partition)

    def write_state(self, state: CalibrationState, watch: LeakWatch | None = None) -> None:
        """Store a night's state and its leak watch under this run."""
        states.write_state(self._lock, state, self.run_of(state.partition), watch)

    def leak_watch(self, state: CalibrationState) -> LeakWatch | None:
        """Read a state's leak watch; None if it has none."""
        if not state.leak_digest:
            return None
        return self._cached_watch(state.partition, state.attempt)

    def state(self, partition: date, attempt: int | None = None) -> CalibrationState | None:
        """Read a night's state, its newest attempt unless one is named."""
        chosen = attempt or states.next_attempt(self.engine, partition) - 1
        return self._cached_state(partition, chosen) if chosen else None

    def newest_accepted_state(self, before: date) -> CalibrationState | None:
        """Read the state that a night starts from: of the newest earlier partition with one."""
        key = history.newest_accepted_key(self.engine, before)
        return self.state(*key) if key else None

    def first_fitted_state(self, before: date, scale: str) -> CalibrationState | None:
        """Read the state that set a scale without anchors; None on its first night."""
        key = history.first_fitted_key(self.engine, before, scale)
        return self.state(*key) if key else None

    def scale_history(self, before: date) -> tuple[ScaleNight, ...]:
        """Read what earlier accepted nights left behind of their scales, oldest first."""
        return history.read_scale_history(self.engine, before)

    def acceptance_of(self, state: CalibrationState) -> NightAcceptance | None:
        """Read a person's decision to accept a rejected result; None if there is none."""
        return acceptances.read_acceptance(self.engine, state.partition, state.digest)

    def staleness(self) -> staleness.Staleness:
        """Find the nights that rest on superseded states."""
        return staleness.read_staleness(self.engine)

    # Results

    def write_flags(self, state: CalibrationState, flags: Sequence[Flag]) -> None:
        """Store a state's flags."""
        run_id = self.run_of(state.partition)
        results.write_flags(self._lock, state.partition, state.attempt, run_id, flags)

    def flags(self, state: CalibrationState) -> tuple[Flag, ...]:
        """Read a state's flags."""
        return results.read_flags(self.engine, state.partition, state.attempt)

    def flag_history(self, through: date, *, only_credible: bool) -> tuple[FlagNight, ...]:
        """Read the accepted nights up to one, as far as episodes of flags follow from them."""
        return flags.read_flag_history(self.engine, through, only_credible=only_credible)

    def flag_decisions(self, before: date) -> tuple[FlagDecision, ...]:
        """Read reviewers' decisions that hold on a night."""
        return flag_decisions.read_flag_decisions(self.engine, before=before)

    def retirements(self, as_of: date) -> dict[ItemKey, date]:
        """Read which items are retired on a night, and from which one on they are."""
        return flag_decisions.read_retirements(self.engine, as_of)

    def write_leak_verdicts(self, state: CalibrationState, verdicts: LeakVerdicts) -> None:
        """Store the leak watch's verdicts on a state's items."""
        run_id = self.run_of(state.partition)
        leak_verdicts.write_leak_verdicts(
            self._lock, state.partition, state.attempt, run_id, state.keys, verdicts
        )

    def leak_verdicts(self, state: CalibrationState) -> LeakVerdicts | None:
        """Read the leak watch's verdicts on a state's items; None if there are none."""
        found = leak_verdicts.read_leak_verdicts(self.engine, state.partition, state.attempt)
        return found[1] if found else None

    def write_links(self, state: CalibrationState, links: Sequence[ScaleLink]) -> None:
        """Store a state's linking constants."""
        run_id = self.run_of(state.partition)
        results.write_links(self._lock, state.partition, state.attempt, run_id, links)

    def links(self, state: CalibrationState) -> tuple[ScaleLink, ...]:
        """Read a state's linking constants."""
        return results.read_links(self.engine, state.partition, state.attempt)
