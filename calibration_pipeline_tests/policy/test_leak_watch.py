"""The leak watch in the nights: what is found, what leaves the fit, and what brings it back."""

from dataclasses import fields, replace
from datetime import timedelta
from functools import lru_cache

import numpy as np
import pytest

from calibration_pipeline.policy.abilities import session_abilities
from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.policy.leak_days import NightAnswers
from calibration_pipeline.policy.leak_flags import leak_flags
from calibration_pipeline.policy.leak_protection import protection
from calibration_pipeline.policy.leak_watch import (
    judge_night,
    known_items,
    left_out_in,
    watch_digest,
    watch_night,
)
from calibration_pipeline.records import SnapshotItem
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.policy.leak_chain import (
    DAYS,
    ITEMS,
    LEAK_DAY,
    LEAKED,
    SETTINGS,
    LeakChain,
    day,
    leaky_days,
    leaky_pool,
)
from calibration_pipeline_tests.simulated import make_bank, night_inputs

KEY = leaky_pool().bank.keys[LEAKED]
OFF = replace(SETTINGS, leaks=LeakConfiguration(watch=False))
NOTHING_LEFT_OUT = np.full(ITEMS, "NaT", "datetime64[D]")


@lru_cache
def chain():
    """Every night, in one go."""
    return LeakChain(leaky_days()).run_through(DAYS - 1)


def of_nights(count):
    """The first nights of the chain, to go on from in another way."""
    return LeakChain(leaky_days(), SETTINGS, chain().states[:count], chain().watches[:count])


def assert_same_watch(one, other):
    for name in (field.name for field in fields(one)):
        mine, others = getattr(one, name), getattr(other, name)
        assert np.asarray(mine).tobytes() == np.asarray(others).tobytes(), name


def verdicts_of(number):
    night = chain()
    pool = leaky_pool()
    return judge_night(night.watches[number], night.states[number], pool.bank, SETTINGS)


def test_a_leak_is_found_within_two_days_and_nothing_else():
    found = chain().found_on()
    assert list(found) == [KEY]
    assert found[KEY] - day(LEAK_DAY) <= timedelta(days=1)
    onset = chain().watches[-1].left_out_from[LEAKED].item()
    assert abs(onset - day(LEAK_DAY)) <= timedelta(days=1)


def test_from_the_onset_on_its_answers_leave_the_fit_and_no_others_do():
    for number, (state, watch) in enumerate(zip(chain().states, chain().watches, strict=True)):
        window = leaky_days()[max(0, number - SETTINGS.window_days + 1) : number + 1]
        onset = watch.left_out_from[LEAKED]  # no day is later than NaT, and none is earlier
        kept = [found for found in window if not np.datetime64(found.revision.day) >= onset]
        assert state.window_counts[LEAKED] == sum((found.item == LEAKED).sum() for found in kept)
        everything = sum(len(found.item) for found in window)
        left_out = state.scales[0].screening.suspected
        assert left_out == everything - state.window_counts.sum()
    assert chain().states[-1].scales[0].screening.suspected > 0
    # The estimate stays what it was; with the leaked answers the item would be much easier.
    before, after = (chain().states[n].parameters[LEAKED, 1] for n in (LEAK_DAY - 1, DAYS - 1))
    assert abs(after - before) < 0.1
    fooled = LeakChain(leaky_days(), OFF).run_through(DAYS - 1).states[-1]
    assert fooled.parameters[LEAKED, 1] < before - 0.2
    assert fooled.leak_digest == ""


def test_where_no_leak_is_suspected_the_fit_is_the_same_with_and_without_a_watch():
    watched, unwatched = (
        LeakChain(leaky_days(with_leak=False), settings).run_through(4)
        for settings in (SETTINGS, OFF)
    )
    assert not watched.found_on()
    for mine, others in zip(watched.states, unwatched.states, strict=True):
        for name in ("parameters", "covariance", "carried_information", "total_counts"):
            assert getattr(mine, name).tobytes() == getattr(others, name).tobytes()


def test_nights_that_are_run_again_hand_on_the_same_bytes():
    again = of_nights(3).run_through(DAYS - 1)
    for mine, others in zip(again.watches, chain().watches, strict=True):
        assert_same_watch(mine, others)
    assert [s.digest for s in again.states] == [s.digest for s in chain().states]
    digests = {watch_digest(watch) for watch in chain().watches}
    assert len(digests) == DAYS
    assert chain().states[-1].leak_digest == watch_digest(chain().watches[-1])


def test_a_missed_night_is_made_up_for_by_the_next_one():
    late = of_nights(LEAK_DAY)
    late.run(LEAK_DAY + 1)
    watch = late.watches[-1]
    assert watch.left_out_from[LEAKED].item() is not None
    one_by_one = chain().watches[LEAK_DAY + 1]
    np.testing.assert_allclose(watch.traffic[:, 0], one_by_one.traffic[:, 0])
    np.testing.assert_allclose(watch.traffic[:, 1], one_by_one.traffic[:, 1])


def test_late_answers_to_a_day_that_was_watched_are_not_watched():
    days = list(leaky_days())
    number = LEAK_DAY - 1
    days[number] = replace(days[number], correct=1 - days[number].correct)
    changed = of_nights(LEAK_DAY)
    changed.days = days
    changed.run(LEAK_DAY)
    assert_same_watch(changed.watches[-1], chain().watches[LEAK_DAY])
    assert changed.states[-1].digest != chain().states[LEAK_DAY].digest


def test_the_first_night_learns_usual_times_and_judges_nobody():
    pool = leaky_pool()
    inputs = night_inputs(day(3), leaky_days(), pool.bank, pool.anchors, SETTINGS)
    watch = watch_night(inputs, None, {}, SETTINGS)
    assert (watch.times[:, 0] > 100).all()
    assert (watch.traffic[:, 1] > 100).all()
    assert not watch.log_ratio.any()
    assert np.isnat(watch.left_out_from).all()


def test_nights_that_begin_to_watch_judge_no_answers_that_the_estimates_rest_on():
    unwatched = LeakChain(leaky_days(), OFF).run_through(LEAK_DAY - 1)
    beginning = LeakChain(leaky_days(), SETTINGS, unwatched.states, unwatched.watches)
    beginning.run(LEAK_DAY)
    watch = beginning.watches[-1]
    onsets = watch.onset[~np.isnat(watch.onset)]
    assert set(onsets.tolist()) == {day(LEAK_DAY)}
    assert watch.left_out_from[LEAKED].item() == day(LEAK_DAY)


def test_a_dismissal_lets_the_answers_in_again_and_the_item_is_watched_afresh():
    dismissed = of_nights(LEAK_DAY + 1)
    state = dismissed.run(LEAK_DAY + 1, {KEY: day(LEAK_DAY)})
    watch = dismissed.watches[-1]
    # The leak goes on in this simulation: the new alarm rests on new answers alone.
    if watch.left_out_from[LEAKED].item() is not None:
        assert watch.left_out_from[LEAKED].item() == day(LEAK_DAY + 1)
    kept = leaky_days()[LEAK_DAY - 2 : LEAK_DAY + 1]
    assert state.window_counts[LEAKED] == sum((d.item == LEAKED).sum() for d in kept)
    # A dismissal of an earlier alarm says nothing of this one.
    unseen = of_nights(LEAK_DAY + 1)
    unseen.run(LEAK_DAY + 1, {KEY: day(LEAK_DAY - 1)})
    assert_same_watch(unseen.watches[-1], chain().watches[LEAK_DAY + 1])


def test_the_flag_says_since_when_in_how_many_answers_and_how_clearly():
    verdicts = verdicts_of(LEAK_DAY)
    (flag,) = leak_flags(verdicts, chain().states[LEAK_DAY].keys)
    assert (flag.key, flag.reason, flag.is_credible) == (KEY, "suspected_leak", True)
    assert flag.value >= flag.threshold
    assert flag.z == pytest.approx(np.sqrt(2 * flag.value))
    assert flag.compared_on == chain().watches[LEAK_DAY].left_out_from[LEAKED].item()
    answers = verdicts.answers_since_onset[LEAKED]
    for part in (
        f"since {flag.compared_on}",
        f"the alarm on {verdicts.alarm_day[LEAKED]}",
        f"{answers} answers were better",
        f"log likelihood ratio {flag.value:.1f}",
    ):
        assert part in flag.explanation


def test_an_alarm_whose_item_has_no_answers_left_keeps_a_threshold_and_promises_no_delay():
    """An anchor is known by the answers in its window alone; all of them may have been left out."""
    watch, state = chain().watches[-1], chain().states[-1]
    covariance = state.covariance.copy()
    covariance[LEAKED] = 0.0
    verdicts = judge_night(
        watch, replace(state, covariance=covariance), leaky_pool().bank, SETTINGS
    )
    assert not verdicts.is_watched[LEAKED]
    (flag,) = leak_flags(verdicts, state.keys)
    assert (flag.key, flag.is_credible) == (KEY, True)
    assert np.isfinite(flag.threshold)
    assert "too few of its other answers are left" in flag.explanation
    assert "expected to be found" not in flag.explanation


def test_a_variant_is_hinted_at_and_keeps_its_answers():
    bank = leaky_pool().bank
    families = tuple("clones" if j in (LEAKED, 2) else None for j in range(ITEMS))
    watch, state = chain().watches[LEAK_DAY], chain().states[LEAK_DAY]
    verdicts = judge_night(watch, state, replace(bank, content_families=families), SETTINGS)
    variant, own = leak_flags(verdicts, state.keys)
    assert (variant.key, variant.is_credible) == (bank.keys[2], False)
    assert KEY[0] in variant.explanation
    assert own.is_credible
    assert np.isnat(watch.left_out_from[2])


def test_items_are_counted_by_how_soon_a_leak_would_be_found():
    verdicts = verdicts_of(LEAK_DAY)
    counts = protection(verdicts)
    assert sum(counts.values()) == ITEMS
    assert counts["within 2 nights"] > ITEMS / 2
    assert verdicts.is_watched.all()
    assert np.isfinite(verdicts.threshold).all()


def test_an_item_is_watched_once_enough_is_known_of_it():
    state = chain().states[2]
    few = replace(state, total_counts=np.where(np.arange(ITEMS) == LEAKED, 9, state.total_counts))
    bank, nobody = leaky_pool().bank, np.zeros(ITEMS, bool)
    parameters, covariance = known_items(few, bank, nobody, SETTINGS)
    assert np.isnan(parameters[LEAKED]).all()
    assert np.isnan(covariance[LEAKED]).all()
    assert np.isfinite(np.delete(parameters, LEAKED, axis=0)).all()
    # An anchor is held against its own answers: its reference may be off.
    anchors = leaky_pool().is_anchor
    np.testing.assert_array_equal(parameters[anchors], state.shadow_parameters[anchors])
    # An alarm outlives the answers that leave the window.
    assert np.isfinite(known_items(few, bank, np.arange(ITEMS) == LEAKED, SETTINGS)[0]).all()


def test_changed_alternatives_begin_anew_and_a_changed_rate_does_not():
    rarer = replace(SETTINGS, leaks=LeakConfiguration(item_nights_per_false_alarm=1e5))
    other = replace(SETTINGS, leaks=LeakConfiguration(success=0.9))
    assert rarer.digest != SETTINGS.digest != other.digest
    for settings, kept in ((rarer, True), (other, False)):
        later = replace(of_nights(LEAK_DAY + 1), configuration=settings)
        later.run(LEAK_DAY + 1)
        onset = later.watches[-1].left_out_from[LEAKED].item()
        assert (onset == chain().watches[-1].left_out_from[LEAKED].item()) == kept
        assert later.watches[-1].times[0, 0] > chain().watches[LEAK_DAY].times[0, 0]


def test_a_bank_in_another_order_knows_whose_answers_are_left_out():
    bank = make_bank(ITEMS + 2, first=1)  # without the first item, with three more
    left_out = left_out_in(chain().watches[-1], bank)
    assert np.flatnonzero(~np.isnat(left_out)).tolist() == [LEAKED - 1]
    assert left_out_in(None, bank) is None


def test_leaked_answers_tell_no_ability():
    bank, state = leaky_pool().bank, chain().states[-1]
    items = [
        SnapshotItem(key, "main", *state.parameters[j].tolist(), 0.1, 0.1, 0.1, (), "trusted",
                     "calibrated", 1, 1, "")
        for j, key in enumerate(bank.keys)
    ]  # fmt: skip
    archived = leaky_days()[-1]
    watch = chain().watches[-1]
    every, without = (
        session_abilities(archived, bank, items, {}, SETTINGS, left_out_from=left_out)
        for left_out in (None, watch.left_out_from)
    )
    leaked = np.add.reduceat(archived.item == LEAKED, archived.session_offsets[:-1])
    assert (every.response_counts - without.response_counts).tolist() == leaked.tolist()
    same = leaked == 0
    np.testing.assert_array_equal(every.theta[same], without.theta[same])
    assert (every.theta[~same] != without.theta[~same]).all()


def test_evidence_is_a_candidates_first_scored_answer_in_earnest():
    bank = make_bank(4)
    plain = Session([0, 1, 2], [1, 0, 1], person="a")
    again = Session([0, 3, 1], [1, 0, 0], person="a", outcomes=["scored", "omitted", "scored"])
    short = Session([3], [1], person="b")
    days = [make_day([plain], day(0)), make_day([again, short], day(1))]
    days = [replace(d, keys=bank.keys) for d in days]
    answers = NightAnswers(days, bank, np.full((4, 3), np.nan), {}, SETTINGS)
    first = answers.of_day(0, NOTHING_LEFT_OUT[:4])
    second = answers.of_day(1, NOTHING_LEFT_OUT[:4])
    assert first.is_evidence.all()
    # Seen before, omitted, seen before, and alone in its session.
    assert second.item.tolist() == [0, 3, 1, 3]
    assert not second.is_evidence.any()
    assert np.isnan(second.seconds).all()


def test_answers_to_a_suspected_item_tell_nothing_about_the_others():
    pool, found = leaky_pool(), leaky_days()[LEAK_DAY]
    answers = NightAnswers([found], pool.bank, pool.truth, {}, SETTINGS)
    suspected = NOTHING_LEFT_OUT.copy()
    suspected[LEAKED] = day(LEAK_DAY)
    before, after = (answers.of_day(0, days) for days in (NOTHING_LEFT_OUT, suspected))
    session = np.repeat(np.arange(len(found.session_offsets) - 1), np.diff(found.session_offsets))
    with_leaked = np.isin(session, session[found.item == LEAKED])
    is_other = with_leaked & (found.item != LEAKED)
    assert (before.ability_mean[is_other] != after.ability_mean[is_other]).all()
    np.testing.assert_allclose(before.ability_mean[~is_other], after.ability_mean[~is_other])
    # Its own answer is left out of its own ability in any case.
    own = found.item == LEAKED
    np.testing.assert_allclose(before.ability_mean[own], after.ability_mean[own])
