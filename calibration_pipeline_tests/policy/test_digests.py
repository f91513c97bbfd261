from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from calibration_pipeline.policy.digests import digest_of, with_digest
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import draw_items, make_bank

STATE = make_state(make_bank(5), draw_items(5, np.random.default_rng(0)))


def test_bytes_shape_and_type_all_count():
    zeros = np.zeros(4)
    digests = {
        digest_of(zeros),
        digest_of(zeros.reshape(2, 2)),
        digest_of(zeros.astype(np.int64)),
        digest_of(zeros, "x"),
        digest_of(zeros + 1e-300),
    }
    assert len(digests) == 5


def test_layout_in_memory_does_not_count():
    array = np.arange(12.0).reshape(3, 4)
    assert digest_of(array) == digest_of(np.asfortranarray(array))


@pytest.mark.parametrize(
    "change", [{"attempt": 7}, {"anchor_set_id": 9}, {"digest": "anything"}], ids=str
)
def test_ids_and_attempts_are_left_out(change):
    assert with_digest(replace(STATE, **change)).digest == with_digest(STATE).digest


def test_the_parents_attempt_is_left_out_but_not_its_partition():
    def child(*parent):
        return with_digest(replace(STATE, parent=parent)).digest

    assert child(date(2026, 1, 1), 1) == child(date(2026, 1, 1), 2)
    assert child(date(2026, 1, 1), 1) != child(date(2026, 1, 2), 1)


@pytest.mark.parametrize(
    "change",
    [
        {"partition": date(2027, 1, 1)},
        {"is_accepted": False},
        {"window": ((date(2026, 1, 1), 2, "x"),)},
        {"infit": STATE.infit + 1e-15},
        {"bank_digest": "other"},
        {"configuration_digest": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_content_counts(change):
    assert with_digest(replace(STATE, **change)).digest != with_digest(STATE).digest
