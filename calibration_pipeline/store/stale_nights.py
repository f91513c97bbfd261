"""Which nights rest on states that have been superseded since.

A night is computed from the newest accepted earlier state, and for a scale without anchors from
the first night that fitted it. Once another state stands there, with another digest, the night is
stale, and so is every night after it. Digests leave out attempts: an earlier night that was run
again and gave the same changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

StateKey = tuple[date, int]


@dataclass(frozen=True)
class AcceptedState:
    """What staleness needs to know of an accepted state.

    Attributes
    ----------
    key
        Its (partition, attempt).
    digest
        Of its content.
    parent
        The state that it started from; None if there was no earlier one.
    fitted
        The scales that it fitted.
    linked
        Those among them, without anchors, that it brought to the scale of their first night.
    """

    key: StateKey
    digest: str
    parent: StateKey | None
    fitted: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()

    @property
    def night(self) -> date:
        """The local day that it is of."""
        return self.key[0]


@dataclass(frozen=True)
class StaleNight:
    """A night that would be computed from something else now.

    Attributes
    ----------
    night
        The local day.
    reason
        What has changed, in words that follow the night's date.
    """

    night: date
    reason: str


def stale_nights(states: Sequence[AcceptedState]) -> tuple[StaleNight, ...]:
    """Find the nights whose newest accepted state would be computed from something else now.

    Parameters
    ----------
    states
        Every accepted state, in the order in which they were stored.

    Returns
    -------
    tuple of StaleNight
        Oldest first. Each night follows the one before it, so all from the first one on.
    """
    digests = {state.key: state.digest for state in states}
    newest: dict[date, AcceptedState] = {}
    set_by: dict[str, AcceptedState] = {}  # each scale's first night, as the states come in
    linked_to: dict[StateKey, dict[str, AcceptedState]] = {}
    for state in states:
        linked_to[state.key] = _first_fits(state, set_by)
        newest[state.night] = state  # of several attempts the last one, which is the newest
        for scale in state.fitted:
            if scale not in set_by or state.night <= set_by[scale].night:
                set_by[scale] = state
    found: list[StaleNight] = []
    previous: AcceptedState | None = None
    for night in sorted(newest):
        state = newest[night]
        reason = _superseded_parent(state, previous, digests) or _superseded_scale(
            linked_to[state.key], _first_fits(state, set_by)
        )
        if not reason and found:
            reason = f"follows {found[-1].night}, which is stale"
        if reason:
            found.append(StaleNight(night, reason))
        previous = state
    return tuple(found)


def with_cause(
    found: Sequence[StaleNight], cause: StaleNight | None, states: Sequence[AcceptedState]
) -> tuple[StaleNight, ...]:
    """Add a night that is stale for another reason, and with it all accepted nights after it."""
    if cause is None or (found and found[0].night <= cause.night):
        return tuple(found)
    nights = sorted({state.night for state in states if state.night >= cause.night})
    follows = dict(zip(nights[1:], nights, strict=False))
    return tuple(
        cause
        if night == cause.night
        else StaleNight(night, f"follows {follows[night]}, which is stale")
        for night in nights
    )


def _first_fits(state: AcceptedState, set_by: dict[str, AcceptedState]) -> dict[str, AcceptedState]:
    """The nights that set the scales which a state is linked to."""
    return {
        scale: set_by[scale]
        for scale in sorted(state.linked)
        if scale in set_by and set_by[scale].night < state.night
    }


def _superseded_parent(
    state: AcceptedState, previous: AcceptedState | None, digests: dict[StateKey, str]
) -> str:
    """Why a state would start from another one now; an empty string if it wouldn't."""
    if previous is None:
        return ""
    if state.parent is None:
        return f"starts from nothing, and {previous.night} has been calibrated since"
    if state.parent[0] != previous.night:
        return f"starts from {state.parent[0]}, and {previous.night} has been calibrated since"
    if digests[state.parent] != previous.digest:
        return f"starts from {previous.night} as it was before it was run again"
    return ""


def _superseded_scale(then: dict[str, AcceptedState], now: dict[str, AcceptedState]) -> str:
    """Why a scale's first night is another one now; an empty string if it isn't."""
    for scale, first in now.items():
        if scale in then and then[scale].digest != first.digest:
            return f"links scale {scale} to its first night as it was before {first.night} was run"
    return ""
