"""Selecting an anchor set: read, call, write. The command and Dagster's job do just this.

No Dagster here: the command starts without it.
"""

from dataclasses import asdict, dataclass
from datetime import date, timedelta

from calibration_pipeline.errors import AnchorSetError
from calibration_pipeline.policy.anchor_evidence import AnchorEvidence
from calibration_pipeline.policy.anchor_selection import select_anchors
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import SAYS_IT_CHANGED
from calibration_pipeline.policy.flag_reviews import undismissed_flags
from calibration_pipeline.records import AnchorProposal, CalibrationState, ItemKey
from calibration_pipeline.store.anchor_sets import propose_set
from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline.store.bank import read_bank
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.flag_decisions import read_flag_decisions
from calibration_pipeline.store.flags import read_flag_history
from calibration_pipeline.store.history import newest_accepted_key
from calibration_pipeline.store.states import read_state
from calibration_pipeline.store.telling import Tell, tell_nobody

_STEPS = 3
"""Of a selection, as progress counts them."""


@dataclass(frozen=True)
class StoredProposal:
    """A proposal and the number under which it is stored."""

    anchor_set_id: int
    proposal: AnchorProposal


def propose_anchors(
    database: Database,
    configuration: CalibrationConfiguration,
    *,
    proposed_by: str,
    as_of: date | None = None,
    tell: Tell = tell_nobody,
) -> StoredProposal:
    """Select an anchor set from the newest accepted state and store it as a proposal.

    Parameters
    ----------
    as_of
        Take the newest state up to that night, instead of the newest of all.
    tell
        Told what is being read or judged.

    Raises
    ------
    AnchorSetError
        No night has been accepted, or no scale has anchors to propose.
    """
    tell("Reading states and flags", 0, _STEPS)
    evidence = read_anchor_evidence(database, configuration, as_of)
    tell("Judging every item", 1, _STEPS)
    proposal = select_anchors(evidence, configuration)
    settings = asdict(configuration.anchors)
    tell("Storing the proposal", 2, _STEPS)
    set_id = propose_set(database, proposal, proposed_by=proposed_by, settings=settings)
    return StoredProposal(set_id, proposal)


def read_anchor_evidence(
    database: Database, configuration: CalibrationConfiguration, as_of: date | None = None
) -> AnchorEvidence:
    """Read what anchors are selected from.

    Raises
    ------
    AnchorSetError
        No night has been accepted, up to `as_of`.
    """
    settings = configuration.anchors
    state = _newest_accepted(database, as_of or date.max)
    if state is None:
        until = f" up to {as_of}" if as_of else ""
        raise AnchorSetError(
            f"no night has been accepted{until}: anchors are selected from calibrated nights, so "
            "run `calibrate night` first"
        )
    night = state.partition
    apart = max(settings.movement_nights, configuration.window_days)
    stable_since = night - timedelta(days=settings.stable_days)
    return AnchorEvidence(
        bank=read_bank(database, night),
        state=state,
        earlier=_newest_accepted(database, night - timedelta(days=apart)),
        oldest=_newest_accepted(database, stable_since),
        anchors=read_anchor_set(database, night),
        flags=_flags_against(database, configuration, stable_since, night),
    )


def _flags_against(
    database: Database, configuration: CalibrationConfiguration, first: date, last: date
) -> dict[ItemKey, list[tuple[date, str]]]:
    """Read what accepted nights of a span found of items, without what reviewers have dismissed.

    Of the nights before the last one only what says that an item changed. Every decision made until
    now counts: whoever dismisses a flag may select on the same day.
    """
    history = read_flag_history(database, last)
    decisions = read_flag_decisions(database)
    return {
        key: counting
        for key, found in undismissed_flags(history, decisions, configuration).items()
        if (
            counting := [
                (night, reason)
                for night, reason in found
                if night == last or (night >= first and reason in SAYS_IT_CHANGED)
            ]
        )
    }


def _newest_accepted(database: Database, until: date) -> CalibrationState | None:
    """The newest accepted state of a night up to a day, that day included."""
    before = until if until == date.max else until + timedelta(days=1)
    key = newest_accepted_key(database, before)
    return read_state(database, *key) if key else None
