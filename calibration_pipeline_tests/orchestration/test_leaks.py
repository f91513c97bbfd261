"""A programme in which an item leaks, calibrated by real nights: found, left out, let in again."""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.definitions import dry_run_definitions, open_dry_run_store
from calibration_pipeline.orchestration.dry_run import rehearse_nights
from calibration_pipeline.orchestration.flag_reviews import reviews_of_night
from calibration_pipeline.policy.flag_reasons import SUSPECTED_LEAK
from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.records import Flag, FlagEpisode, LeakVerdicts, LeakWatch
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.flag_decisions import record_decisions
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.programme import (
    LAST,
    PLAN,
    POLICY,
    Programme,
    copy_of,
    load,
    programme_on,
)

LEAKY_PLAN = replace(
    PLAN, items=30, anchors=6, days=6, sessions_per_day=150, answers=12, pool_share=0.6
)
NIGHTS = tuple(LAST - timedelta(days=age) for age in range(LEAKY_PLAN.days - 1, -1, -1))
LEAK_NIGHT = NIGHTS[4]
LEAKY_POLICY = replace(POLICY, maximum_moved_share=1.0)

# The hardest of the items with much traffic: who knows it stands out.
CHOSEN = """
SELECT item_id FROM calibration.response_log
WHERE item_id NOT IN (SELECT item_id FROM calibration.anchor_set_items)
GROUP BY item_id HAVING count(*) > 60 * :days ORDER BY avg(score) LIMIT 1
"""
LEAK = """
UPDATE calibration.response_log
SET score = (abs(hashtext(session_id || 'right')) % 20 > 0)::int,
    time_on_task_ms = (0.6 * time_on_task_ms)::int
WHERE item_id = :item AND abs(hashtext(session_id)) % 10 < 7
  AND (session_started_at AT TIME ZONE 'Europe/Zurich')::date >= :night
"""


@pytest.fixture(scope="module")
def leaky_template(
    embedded_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """A database with the programme's pool and answers, and the item that leaks."""
    with fresh_database(embedded_server) as url:
        engine = open_engine(url)
        load(engine, tmp_path_factory.mktemp("leaky") / "simulated", LEAKY_PLAN)
        with engine.begin() as connection:
            item = connection.scalar(sa.text(CHOSEN), {"days": LEAKY_PLAN.days})
            connection.execute(sa.text(LEAK), {"item": item, "night": LEAK_NIGHT})
        engine.dispose()
        yield url, item


@pytest.fixture(scope="module")
def watched(
    embedded_server: EmbeddedServer,
    leaky_template: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Programme]:
    """All nights in one run. Shared by every test that only reads."""
    with fresh_database(embedded_server, template_url=leaky_template[0]) as url:
        programme = programme_on(
            url,
            tmp_path_factory.mktemp("watched"),
            policy=LEAKY_POLICY,
            first_day=NIGHTS[0] - timedelta(days=1),
        )
        programme.run(NIGHTS[0], NIGHTS[-1])
        yield programme
        programme.close()


@pytest.fixture
def watched_copy(
    embedded_server: EmbeddedServer, watched: Programme, tmp_path: Path
) -> Iterator[Programme]:
    """A programme of the test's own, all nights calibrated."""
    with copy_of(watched, embedded_server, tmp_path / "home") as own:
        yield own


def watch_of(programme: Programme, night: date) -> LeakWatch:
    found = programme.store().leak_watch(programme.state(night))
    assert found is not None
    return found


def leak_flags(programme: Programme, night: date) -> list[Flag]:
    flags = programme.store().flags(programme.state(night))
    return [flag for flag in flags if flag.reason == SUSPECTED_LEAK and flag.is_credible]


def same_bytes(one: object, other: object) -> None:
    for field in fields(one):  # type: ignore[arg-type]
        mine, others = (np.asarray(getattr(found, field.name)) for found in (one, other))
        assert mine.tobytes() == others.tobytes(), field.name


def archived_answers(programme: Programme, item: str, nights: tuple[date, ...]) -> int:
    store, total = programme.store(), 0
    for night in nights:
        day = store.day(night)
        total += int((day.item == day.keys.index((item, 1))).sum())
    return total


def test_the_leaked_item_is_flagged_within_two_days_and_no_other(
    watched: Programme, leaky_template: tuple[str, str]
) -> None:
    key = (leaky_template[1], 1)
    flagged = {night: [flag.key for flag in leak_flags(watched, night)] for night in NIGHTS}
    assert not any(flagged[night] for night in NIGHTS[:4])
    assert flagged[NIGHTS[5]] == [key]
    (flag,) = leak_flags(watched, NIGHTS[5])
    assert flag.value >= flag.threshold
    assert flag.compared_on is not None
    assert abs(flag.compared_on - LEAK_NIGHT) <= timedelta(days=1)
    reviews = reviews_of_night(watched.store(), NIGHTS[5], LEAKY_POLICY)
    (review,) = [r for r in reviews if r.episode.reason == SUSPECTED_LEAK]
    assert review.status == "open"
    shown = watched.materializations("item_flags")[NIGHTS[5].isoformat()]
    assert shown["items suspected to have leaked"] == 1
    assert key[0] in shown["suspected leaks"]
    assert watched.materializations("item_fits")[NIGHTS[5].isoformat()][
        "answers left out of suspected leaks"
    ]


def test_its_answers_leave_fit_and_abilities_from_the_onset_on(
    watched: Programme, leaky_template: tuple[str, str]
) -> None:
    item, state = leaky_template[1], watched.state(NIGHTS[5])
    watch = watch_of(watched, NIGHTS[5])
    j = state.keys.index((item, 1))
    onset = watch.left_out_from[j].item()
    kept = tuple(night for night in NIGHTS[2:] if night < onset)
    assert state.window_counts[j] == archived_answers(watched, item, kept)
    assert np.isnat(np.delete(watch.left_out_from, j)).all()
    left_out = archived_answers(watched, item, tuple(n for n in NIGHTS[2:] if n >= onset))
    assert state.scales[0].screening.suspected == left_out > 0
    abilities = watched.scalar(
        "SELECT sum(response_count) FROM calibration.candidate_abilities WHERE partition = :night",
        night=NIGHTS[5],
    )
    everything = watched.store().day(NIGHTS[5])
    assert abilities == len(everything.item) - archived_answers(watched, item, (NIGHTS[5],))


def test_every_night_publishes_how_soon_a_leak_would_be_found(watched: Programme) -> None:
    verdicts = watched.store().leak_verdicts(watched.state(NIGHTS[3]))
    assert isinstance(verdicts, LeakVerdicts)
    assert verdicts.is_watched.all()
    assert (verdicts.answers_per_day > 0).all()
    assert np.isfinite(verdicts.delay_days).mean() > 0.8
    shown = watched.materializations("item_flags")[NIGHTS[3].isoformat()]
    assert shown["items watched for leaks"] == len(verdicts.is_watched)
    assert "within 2 nights" in shown["expected delay of a leak's alarm"]
    page = Path(watched.materializations("nightly_report")[NIGHTS[5].isoformat()]["page"])
    assert "1 item is suspected to have leaked" in page.read_text()


@pytest.mark.slow
def test_a_backfill_from_the_middle_gives_the_same_bytes(
    watched: Programme, watched_copy: Programme
) -> None:
    watched_copy.run(NIGHTS[3], NIGHTS[5])
    assert watched_copy.digests() == watched.digests()
    for night in NIGHTS[3:]:
        assert watched_copy.state(night).attempt == 2
        same_bytes(watch_of(watched_copy, night), watch_of(watched, night))


def test_a_dismissal_lets_the_answers_in_again(
    watched_copy: Programme, leaky_template: tuple[str, str]
) -> None:
    programme, item = watched_copy, leaky_template[1]
    (flag,) = leak_flags(programme, LEAK_NIGHT)
    episode = FlagEpisode(flag.key, flag.reason, ((LEAK_NIGHT, flag),))
    record_decisions(
        programme.engine, [episode], "dismiss", night=LEAK_NIGHT, reason="taught", decided_by="r"
    )
    store = open_dry_run_store(programme.settings)
    definitions = dry_run_definitions(programme.settings, store)
    (foretold,) = rehearse_nights(definitions, store, NIGHTS[5], NIGHTS[5])
    programme.run(NIGHTS[5])
    state = programme.state(NIGHTS[5])
    watch = watch_of(programme, NIGHTS[5])
    j = state.keys.index((item, 1))
    # The leak goes on here, so that the next alarm may come at once: from new answers alone.
    onset = watch.left_out_from[j].item()
    assert onset in (None, NIGHTS[5])
    kept = tuple(night for night in NIGHTS[2:] if onset is None or night < onset)
    assert LEAK_NIGHT in kept
    assert state.window_counts[j] == archived_answers(programme, item, kept)
    # A dry run foretold all of it.
    assert foretold.state is not None
    assert foretold.state.digest == state.digest
    rehearsed = store.leak_watch(foretold.state)
    assert rehearsed is not None
    same_bytes(rehearsed, watch)
    rehearsed_verdicts, verdicts = (s.leak_verdicts(state) for s in (store, programme.store()))
    same_bytes(rehearsed_verdicts, verdicts)


@pytest.mark.slow
def test_nights_that_do_not_watch_leave_nothing_out(watched_copy: Programme) -> None:
    programme = watched_copy.with_policy(leaks=LeakConfiguration(watch=False))
    programme.run(NIGHTS[5])
    state = programme.state(NIGHTS[5])
    assert state.leak_digest == ""
    assert programme.store().leak_watch(state) is None
    assert state.scales[0].screening.suspected == 0
    assert not leak_flags(programme, NIGHTS[5])


def test_a_leak_that_is_found_after_its_answers_were_folded_gives_back_what_came_before(
    embedded_server: EmbeddedServer, leaky_template: tuple[str, str], tmp_path: Path
) -> None:
    """Under a threshold that nothing reaches its answers are folded; then the usual one is set."""
    url, item = leaky_template
    with fresh_database(embedded_server, template_url=url) as own:
        engine = open_engine(own)
        with engine.begin() as connection:
            connection.execute(sa.text(LEAK), {"item": item, "night": NIGHTS[2]})
        engine.dispose()
        deaf = replace(
            LEAKY_POLICY,
            window_days=1,
            contradiction_z=1e9,
            leaks=LeakConfiguration(item_nights_per_false_alarm=1e300),
        )
        programme = programme_on(own, tmp_path / "home", policy=deaf, first_day=NIGHTS[0])
        programme.run(NIGHTS[0], NIGHTS[4])
        parent = programme.state(NIGHTS[4])
        j = parent.keys.index((item, 1))
        assert np.isnat(watch_of(programme, NIGHTS[4]).left_out_from).all()
        programme = programme.with_policy(leaks=LeakConfiguration())
        programme.run(NIGHTS[5])
        state = programme.state(NIGHTS[5])
        onset = watch_of(programme, NIGHTS[5]).left_out_from[j].item()
        assert onset is not None
        assert NIGHTS[1] <= onset <= parent.folded_through
        before = programme.state(onset - timedelta(days=1))
        # What it carried then, a day's forgetting later for each day since.
        age = (state.folded_through - before.folded_through).days
        kept = 0.5 ** (age / LEAKY_POLICY.forgetting_half_life_days)
        np.testing.assert_allclose(
            state.carried_information[j], kept * before.carried_information[j], rtol=1e-9
        )
        assert (state.carried_information[j] < parent.carried_information[j]).any()
        assert state.total_counts[j] == before.total_counts[j] - before.window_counts[j]
        programme.close()


@pytest.mark.slow
def test_nights_one_by_one_with_late_answers_hand_on_the_same_watch(
    watched: Programme,
    embedded_server: EmbeddedServer,
    leaky_template: tuple[str, str],
    tmp_path: Path,
) -> None:
    with fresh_database(embedded_server, template_url=leaky_template[0]) as url:
        programme = programme_on(
            url, tmp_path / "home", policy=LEAKY_POLICY, first_day=NIGHTS[0] - timedelta(days=1)
        )
        for night in NIGHTS[:3]:
            programme.run(night)
            same_bytes(watch_of(programme, night), watch_of(watched, night))
        # They are in tonight's window; the day that they belong to has been watched.
        assert programme.log_like("late", NIGHTS[1]) > 0
        programme.run(NIGHTS[3])
        window = {day: revision for day, revision, _ in programme.state(NIGHTS[3]).window}
        assert window[NIGHTS[1]] == 2
        mine, others = watch_of(programme, NIGHTS[3]), watch_of(watched, NIGHTS[3])
        np.testing.assert_array_equal(mine.traffic[:, 0], others.traffic[:, 0])
        np.testing.assert_array_equal(mine.traffic[:, 1], others.traffic[:, 1])
        programme.close()
