"""Accept a rejected fit: a person's decision, which the next run of the night follows."""

from datetime import date

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.policy.verdicts import nothing_to_accept
from calibration_pipeline.records import CalibrationState, NightAcceptance
from calibration_pipeline.store.acceptances import record_acceptance
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.states import read_state


def accept_rejected(
    database: Database, night: date, *, reason: str, decided_by: str
) -> NightAcceptance:
    """Record that the rejected fit of a night's newest try is to be accepted.

    It holds for exactly that result: the night has to be run again, and a result that differs by
    then is judged anew.

    Raises
    ------
    BadInputError
        There is nothing to accept, or no reason for it; the message says what to do instead.
    """
    state = read_state(database, night)
    problem = nothing_to_accept(night, state)
    if state is None or problem:
        raise BadInputError(problem)
    if not reason.strip():
        raise BadInputError("a rejected fit can't be accepted without a reason: say why")
    decision = NightAcceptance(night, state.digest, reason.strip(), decided_by)
    return record_acceptance(database, decision)


def what_came_of(acceptance: NightAcceptance, state: CalibrationState | None) -> str:
    """Say what a run made of the decision: followed, or judged anew because the result differs."""
    night = acceptance.partition
    if state is None:
        return f"{night} has no fit: the decision waits for its next run"
    if state.is_accepted and state.reasons:
        return f"{night} was accepted in spite of: {'; '.join(state.reasons[:-1])}"
    verdict = "accepted" if state.is_accepted else "rejected again"
    return (
        f"the result of {night} differs from the one that was accepted (other answers, settings or "
        f"earlier nights), so it was judged anew, and {verdict}"
    )
