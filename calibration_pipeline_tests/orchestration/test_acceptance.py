"""A rejected fit that a person accepts: exactly that result, and later nights build on it."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.orchestration.acceptance import accept_rejected, what_came_of
from calibration_pipeline.policy.verdicts import accepted_in_spite
from calibration_pipeline.records import NightAcceptance
from calibration_pipeline.store.acceptances import read_acceptance, record_acceptance
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline_tests.programme import FIRST, NIGHTS, Programme

ACCEPTED = "accepted all the same by ada: the winter cohort is a strong one"


def strict(programme: Programme) -> Programme:
    """The same programme under a threshold that no night's population meets."""
    return programme.with_policy(population_sd_range=(2.0, 5.0))


def accept(
    programme: Programme, reason: str = "the winter cohort is a strong one"
) -> NightAcceptance:
    return accept_rejected(programme.engine, NIGHTS[1], reason=reason, decided_by="ada")


def test_an_accepted_result_is_published_and_later_nights_start_from_it(
    programme: Programme,
) -> None:
    programme.run(FIRST)
    refusing = strict(programme)
    assert refusing.night(NIGHTS[1]).outcome == "rejected"
    rejected = programme.state(NIGHTS[1])

    acceptance = accept(programme)
    outcome = refusing.night(NIGHTS[1])
    accepted = programme.state(NIGHTS[1])
    assert outcome.outcome == "completed"
    assert outcome.reason == "; ".join([*rejected.reasons, ACCEPTED])
    assert accepted.is_accepted
    assert accepted.reasons == (*rejected.reasons, ACCEPTED)
    assert accepted.digest != rejected.digest
    np.testing.assert_array_equal(accepted.parameters, rejected.parameters)
    assert current_version(programme.engine) == 2
    assert what_came_of(acceptance, accepted) == (
        f"{NIGHTS[1]} was accepted in spite of: {'; '.join(rejected.reasons)}"
    )

    assert programme.night(NIGHTS[2]).outcome == "completed"
    assert programme.state(NIGHTS[2]).parent == (NIGHTS[1], 2)

    # Said again, and run again: the same bytes, and no second version.
    record_acceptance(programme.engine, replace(acceptance, reason="another one", decided_by="bob"))
    assert refusing.night(NIGHTS[1]).outcome == "completed"
    assert programme.state(NIGHTS[1], 3).digest == accepted.digest
    assert [night for _, night, _ in programme.digests()[1]] == [FIRST, NIGHTS[1], NIGHTS[2]]
    assert not programme.store().staleness().nights


def test_another_result_is_judged_anew(programme: Programme) -> None:
    programme.run(FIRST)
    refusing = strict(programme)
    refusing.run(NIGHTS[1])
    acceptance = accept(programme)
    programme.log_like("late", NIGHTS[1])
    assert refusing.night(NIGHTS[1]).outcome == "rejected"
    state = programme.state(NIGHTS[1])
    assert not any("accepted" in reason for reason in state.reasons)
    assert "judged anew, and rejected again" in what_came_of(acceptance, state)


def test_a_mended_night_needs_no_acceptance(programme: Programme) -> None:
    programme.run(FIRST)
    strict(programme).run(NIGHTS[1])
    acceptance = accept(programme)
    assert programme.night(NIGHTS[1]).reason == ""
    assert "judged anew, and accepted" in what_came_of(acceptance, programme.state(NIGHTS[1]))


def test_what_cannot_be_accepted_says_what_to_do_instead(programme: Programme) -> None:
    def refusal() -> str:
        with pytest.raises(BadInputError) as error:
            accept(programme)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert f"has no fit to accept: run `calibrate night --date {NIGHTS[1]}` first" in refusal()
    programme.log_like("bad", NIGHTS[1], score="7")
    assert programme.night(NIGHTS[1]).outcome == "rejected"
    assert "was stopped before its fit, so there is nothing to accept" in refusal()
    assert "MAXIMUM_QUARANTINED_SHARE" in refusal()
    programme.with_policy(maximum_quarantined_share=0.5).run(NIGHTS[1])
    assert "there is nothing to decide" in refusal()
    assert programme.scalar("SELECT count(*) FROM calibration.night_acceptances") == 0


def test_no_reason_is_no_decision(programme: Programme) -> None:
    strict(programme).run(NIGHTS[1])
    with pytest.raises(BadInputError, match="without a reason"):
        accept(programme, reason="  ")


def test_numbers_that_are_none_are_never_accepted(programme: Programme) -> None:
    """They would be the prior of every later night."""
    strict(programme).run(FIRST)
    broken = programme.state(FIRST)
    parameters = broken.parameters.copy()
    parameters[3, 1] = np.nan
    broken = replace(broken, parameters=parameters)
    decision = NightAcceptance(FIRST, broken.digest, "why not", "ada")
    assert accepted_in_spite(broken, decision) is broken
    assert accepted_in_spite(programme.state(FIRST), decision).is_accepted


def test_a_decision_is_found_by_night_and_digest_alone(programme: Programme) -> None:
    decision = NightAcceptance(FIRST, "a" * 64, "because", "ada")
    record_acceptance(programme.engine, decision)
    assert read_acceptance(programme.engine, FIRST, "a" * 64) == decision
    assert read_acceptance(programme.engine, FIRST, "b" * 64) is None
    assert read_acceptance(programme.engine, NIGHTS[1], "a" * 64) is None
