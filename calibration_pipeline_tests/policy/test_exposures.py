import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.policy.exposures import is_returning, onto_copies, repeated_exposures
from calibration_pipeline.policy.gathering import gather
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.simulated import make_bank

BANK = make_bank(4)
ALL = np.ones(4, bool)


def test_only_the_first_answer_of_a_candidate_to_an_item_is_fresh():
    days = [
        make_day([Session([0, 1], [1, 0], "ann"), Session([0, 0], [1, 1], "bob")]),
        make_day([Session([1, 2], [1, 0], "ann"), Session([0], [1], "eve")]),
    ]
    answers = gather(days, BANK, ALL)
    fresh = [False, False, False, True, True, False, False]
    assert repeated_exposures(answers, 4).tolist() == fresh
    assert is_returning(answers).tolist() == [False, False, True, False]


def test_candidates_without_a_name_never_repeat():
    answers = gather([make_day([Session([0], [1]), Session([0], [1])])], BANK, ALL)
    assert not repeated_exposures(answers, 4).any()
    assert not is_returning(answers).any()


def test_repeats_move_to_one_copy_per_item_behind_the_items():
    item = np.array([3, 1, 3, 2, 1, 3], np.int32)
    is_repeat = np.array([False, False, True, False, True, True])
    moved, copies = onto_copies(item, is_repeat, 4)
    assert moved.tolist() == [3, 1, 5, 2, 4, 5]
    assert copies.tolist() == [1, 3]
    assert (moved.dtype, copies.dtype) == (np.int32, np.int64)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), max_size=12), st.data())
def test_as_many_answers_are_fresh_as_there_are_pairs_of_person_and_item(sessions, data):
    people = [data.draw(st.sampled_from(["ann", "bob", "eve"])) for _ in sessions]
    rows = [Session(s, [1] * len(s), p) for s, p in zip(sessions, people, strict=True)]
    answers = gather([make_day(rows)], BANK, ALL)
    is_repeat = repeated_exposures(answers, 4)
    pairs = [(p, j) for s, p in zip(sessions, people, strict=True) for j in s]
    seen: set[tuple[str, int]] = set()
    expected = []
    for pair in pairs:
        expected.append(pair in seen)
        seen.add(pair)
    assert is_repeat.tolist() == expected
    moved, copies = onto_copies(answers.item, is_repeat, 4)
    original = np.concatenate([np.arange(4), copies])
    assert original[moved].tolist() == answers.item.tolist()
    assert ((moved >= 4) == is_repeat).all()
