"""A programme without a database: its states, each from the newest accepted one before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.records import CalibrationState, DayResponses
from calibration_pipeline.store.stale_nights import AcceptedState, stale_nights
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    SimulatedPool,
    first_fits,
    night_inputs,
)


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


_Known = dict[tuple[object, ...], tuple[NightInputs, CalibrationState]]
_KNOWN: _Known = {}


def _calibrated(inputs: NightInputs, configuration: CalibrationConfiguration) -> CalibrationState:
    """Calibrate a night, unless a chain has done just that before.

    A night is a pure function of its inputs (test_night.py). The very objects must be the same:
    nothing rests on digests, which are under test here.
    """
    parts = [inputs.parent, inputs.bank, inputs.anchors, *inputs.window, *inputs.leaving]
    parts += [inputs.baselines[name] for name in sorted(inputs.baselines)]
    key = (configuration, inputs.partition, inputs.attempt, len(inputs.window), *map(id, parts))
    if key not in _KNOWN:
        # With the inputs, so that no later object gets the identity of one of theirs.
        _KNOWN[key] = inputs, calibrate_night(inputs, configuration)
    return _KNOWN[key][1]


@dataclass
class Chain:
    """A programme's states, as the store keeps them; nights are numbered from 0.

    Any night may be run at any time: it starts from the newest accepted state of an earlier one.
    """

    pool: SimulatedPool
    days: Sequence[DayResponses]
    configuration: CalibrationConfiguration
    stored: dict[tuple[date, int], CalibrationState] = field(default_factory=dict)

    @property
    def accepted(self) -> dict[date, CalibrationState]:
        """Each night's newest accepted state."""
        # A later attempt is stored later, and takes the place of the one before it.
        return {state.partition: state for state in self.stored.values() if state.is_accepted}

    def run(self, number: int, **changes: object) -> CalibrationState:
        """Calibrate a night, under other settings where some are named."""
        configuration = replace(self.configuration, **changes)
        night, accepted = day(number), self.accepted
        earlier = [accepted[other] for other in sorted(accepted) if other < night]
        anchored = bool(self.pool.anchors.keys)
        inputs = night_inputs(
            night,
            self.days,
            self.pool.bank,
            self.pool.anchors,
            configuration,
            parent=earlier[-1] if earlier else None,
            baselines=first_fits(earlier[0]) if earlier and not anchored else {},
        )
        attempt = 1 + sum(partition == night for partition, _ in self.stored)
        state = _calibrated(replace(inputs, attempt=attempt), configuration)
        self.stored[night, attempt] = state
        return state

    def run_all(self, numbers: Iterable[int]) -> "Chain":
        """Calibrate some nights one by one; give the chain back."""
        for number in numbers:
            self.run(number)
        return self

    def days_counted(self, state: CalibrationState) -> list[date]:
        """Days in the window and folded, along the chain of parents; twice what counts twice."""
        found = [day for day, _, _ in state.window]
        ancestor: CalibrationState | None = state
        while ancestor is not None:
            found += [day for day, _, _ in ancestor.folded]
            ancestor = self.stored[ancestor.parent] if ancestor.parent else None
        return sorted(found)

    def stale(self) -> list[date]:
        """The nights that `calibrate status` would name."""
        states = [
            AcceptedState(
                key,
                state.digest,
                state.parent,
                frozenset(scale.name for scale in state.scales if scale.fitted),
                frozenset(scale.name for scale in state.scales if scale.linking_slope != 1.0),
            )
            for key, state in self.stored.items()
            if state.is_accepted
        ]
        return [found.night for found in stale_nights(states)]
