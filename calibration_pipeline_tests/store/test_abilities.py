"""Abilities are replaced night by night: they are personal data, not history."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.records import CandidateAbilities
from calibration_pipeline.store.abilities import read_abilities, write_abilities
from calibration_pipeline_tests.store.examples import NIGHT

ABILITIES = CandidateAbilities(
    scales=("algebra", "main"),
    session_pseudonyms=np.frombuffer(b"s" * 15 + b"\0" + b"t" * 16, "V16"),
    candidate_pseudonyms=np.frombuffer(b"\0" + b"c" * 15 + b"d" * 16, "V16"),
    theta=np.array([0.1, -1 / 3]),
    theta_se=np.array([0.3, 0.4]),
    response_counts=np.array([20, 30]),
)


def test_abilities_come_back_as_they_were(engine: sa.Engine) -> None:
    write_abilities(engine, NIGHT, 3, ABILITIES)
    found = read_abilities(engine, NIGHT)
    assert found.scales == ABILITIES.scales
    assert found.session_pseudonyms.tobytes() == ABILITIES.session_pseudonyms.tobytes()
    assert found.candidate_pseudonyms.tobytes() == ABILITIES.candidate_pseudonyms.tobytes()
    np.testing.assert_array_equal(found.theta, ABILITIES.theta)
    np.testing.assert_array_equal(found.theta_se, ABILITIES.theta_se)
    np.testing.assert_array_equal(found.response_counts, ABILITIES.response_counts)


def test_a_night_run_again_replaces_its_own_abilities(engine: sa.Engine) -> None:
    later = NIGHT + timedelta(days=1)
    write_abilities(engine, NIGHT, None, ABILITIES)
    write_abilities(engine, later, None, ABILITIES)
    write_abilities(engine, NIGHT, None, replace(ABILITIES, theta=np.zeros(2)))
    assert read_abilities(engine, NIGHT).theta.tolist() == [0.0, 0.0]
    assert read_abilities(engine, later).theta.tolist() == ABILITIES.theta.tolist()


def test_a_night_without_abilities_is_empty(engine: sa.Engine) -> None:
    assert read_abilities(engine, NIGHT).theta.shape == (0,)
