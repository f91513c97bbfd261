"""Simulated programmes whose flags are looked at: stable items, and items that get easier."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np

from calibration_pipeline.policy.flag_episodes import flag_episodes
from calibration_pipeline.policy.flag_power import answers_needed_per_item
from calibration_pipeline.policy.flag_reasons import ANCHOR_DRIFT, DRIFTS, MISFIT
from calibration_pipeline.policy.flag_reference import shift_from_reference
from calibration_pipeline.policy.flags import raise_flags
from calibration_pipeline.records import (
    CalibrationState,
    FlagEpisode,
    FlagNight,
    FloatArray,
    ItemNight,
)
from studies.night_chains import Chain


@dataclass(frozen=True)
class DroppingChain(Chain):
    """A chain whose stepped items all get easier."""

    @cached_property
    def direction(self) -> FloatArray:
        """−1 for each item that moves, 0 for the others, ``(items,)``."""
        return np.where(self.stepped, -1.0, 0.0)


@dataclass
class FlaggedNights:
    """A chain's accepted states, and the flags that each night raises."""

    chain: Chain
    states: list[CalibrationState] = field(default_factory=list)
    nights: list[FlagNight] = field(default_factory=list)

    def run(self) -> "FlaggedNights":
        """Calibrate every night and raise its flags, as the chain of assets does."""
        for state in self.chain.calibrate("ours"):
            if state.is_accepted:
                self._add(state)
        return self

    def _add(self, state: CalibrationState) -> None:
        earlier = self.states[-1] if self.states else None
        configuration = self.chain.configuration
        flags = raise_flags(
            state, earlier, configuration,
            reference=self.reference_of(state), anchors=self.chain.anchor_set,
        )  # fmt: skip
        items = {
            key: ItemNight(int(n), bool(updated), bool(anchor), is_compared=False)
            for key, n, updated, anchor in zip(
                state.keys, state.window_counts, state.is_updated, state.is_anchor, strict=True
            )
        }
        self.states.append(state)
        self.nights.append(FlagNight(state.partition, flags, items))

    def reference_of(self, state: CalibrationState) -> CalibrationState | None:
        """The newest state that is at least a window older; None while there is none."""
        window = self.chain.configuration.window_days
        old = [s for s in self.states if (state.partition - s.partition).days >= window]
        return old[-1] if old else None

    def state_of(self, night: date) -> CalibrationState:
        """The state of a night that was accepted."""
        return next(state for state in self.states if state.partition == night)

    @cached_property
    def drift_episodes(self) -> tuple[FlagEpisode, ...]:
        """Episodes of flags that say that a difficulty is not what it was."""
        found = flag_episodes(self.nights, self.chain.configuration)
        return tuple(episode for episode in found if episode.reason in DRIFTS)


def false_flags(nights: FlaggedNights, first: int) -> dict[str, float]:
    """New credible drift flags a night on stable items, from a night (counted from 1) on."""
    since = nights.chain.day_of(first)
    measured = [night for night in nights.nights if night.partition >= since]
    found = {"nights": float(len(measured)), "items": float(len(nights.states[0].keys))}
    opened = [e for e in nights.drift_episodes if e.opened_on >= since]
    found["new credible"] = len(opened) / len(measured)
    for reason in sorted(DRIFTS):
        found[f"new {reason}"] = sum(e.reason == reason for e in opened) / len(measured)
    found |= _lasting_episodes(nights)
    drifts = [flag for night in measured for flag in night.flags if flag.reason in DRIFTS]
    found["over a threshold"] = len(drifts) / len(measured)
    z = _reference_z(nights, measured)
    return found | {"sd of z": float(z.std()), "beyond 3": float((np.abs(z) > 3).mean())}


def _lasting_episodes(nights: FlaggedNights) -> dict[str, float]:
    """Episodes of misfit and of anchors over all nights, with the two margins and without them.

    Without: whatever is not credible ends an episode, and so does one night.
    """
    configuration = nights.chain.configuration
    bare = replace(configuration.flags, persistent_z=float("inf"), resolve_nights=1)
    found = {}
    for name, settings in (
        ("episodes", configuration),
        ("episodes without margins", replace(configuration, flags=bare)),
    ):
        episodes = flag_episodes(nights.nights, settings)
        found[name] = float(
            sum(e.reason == ANCHOR_DRIFT or e.reason.startswith(MISFIT) for e in episodes)
        )
    return found


def _reference_z(nights: FlaggedNights, measured: Sequence[FlagNight]) -> FloatArray:
    """The z of all stable items against their reference, every tenth night."""
    chosen = []
    for night in measured[::10]:
        state = nights.state_of(night.partition)
        reference = nights.reference_of(state)
        if reference is not None:
            found = shift_from_reference(state, reference)
            chosen.append(found.z[found.is_compared & ~nights.chain.stepped])
    return np.concatenate(chosen)


def detection(nights: FlaggedNights) -> dict[str, float]:
    """How many items that drop are flagged by the night whose window lies after the drop.

    `able` are those whose window holds, by then, the answers that the power calculation asks for;
    `just able` those with at most half as many again.
    """
    chain = nights.chain
    (at,) = chain.plan.step_nights
    after, by = chain.day_of(at), chain.day_of(at + chain.configuration.window_days)
    state = nights.state_of(by)
    reference = nights.reference_of(state)
    if reference is None:
        raise ValueError("the drop must come a window after the first night, or later")
    flagged = {e.key for e in nights.drift_episodes if after < e.opened_on <= by}
    credible_z = chain.configuration.flags.drift_credible_z
    needed = answers_needed_per_item(state, reference, chain.plan.step, credible_z)
    is_able = chain.stepped & (state.window_counts >= needed)
    groups = {
        "dropped": chain.stepped,
        "able": is_able,
        "just able": is_able & (state.window_counts < 1.5 * needed),
    }
    is_flagged = np.array([key in flagged for key in state.keys])
    return {name: float(group.sum()) for name, group in groups.items()} | {
        f"{name} and flagged": float((group & is_flagged).sum()) for name, group in groups.items()
    }
