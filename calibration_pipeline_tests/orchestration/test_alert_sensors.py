"""Alerts by Dagster's sensors: runs that really failed, nights that really are missing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from calibration_pipeline.alerts import sinks
from calibration_pipeline.alerts.choosing import choose_alerts
from calibration_pipeline.alerts.delivery import Alerts
from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.errors import DatabaseUnavailableError, NightBlockedError
from calibration_pipeline.orchestration.alert_sensors import (
    FAILURES,
    OVERDUE,
    overdue_nights_sensor,
)
from calibration_pipeline.orchestration.failure_texts import failure_text
from calibration_pipeline.policy.overdue import Deadlines
from calibration_pipeline.records import Freshness
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.freshness import read_freshness
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, Programme
from calibration_pipeline_tests.receivers import SECRET, Webhook, running_webhook

UI = "https://dagster.example/"
ZURICH = ZoneInfo("Europe/Zurich")
DEADLINES = Deadlines(4, 6, ZURICH, timedelta(days=36500))


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as found:
        yield found


def alerted(programme: Programme, url: str) -> Programme:
    """The programme with a webhook for alerts."""
    alert = {"sinks": ("webhook",), "webhook_url": url, "ui_url": UI}
    configuration = Settings(alert=alert).alert  # type: ignore[arg-type]
    settings = programme.settings.model_copy(update={"alert": configuration})
    return replace(programme, settings=settings)


def look(programme: Programme, name: str, cursor: str | None) -> Any:
    """Evaluate a sensor of the definitions, as the daemon does."""
    definitions = build_definitions(programme.settings)
    context = dg.build_sensor_context(
        programme.instance, cursor=cursor, definitions=definitions, sensor_name=name
    )
    return definitions.resolve_sensor_def(name).evaluate_tick(context)


def test_a_failed_run_is_told_once_with_its_reason_and_its_link(
    programme: Programme, webhook: Webhook
) -> None:
    own = alerted(programme, webhook.url)
    cursor = look(own, FAILURES, None).cursor
    rejected = own.with_policy(population_sd_range=(2.0, 5.0)).run(FIRST)
    cursor = look(own, FAILURES, cursor).cursor
    (told,) = webhook.told
    assert told["kind"] == "run failed"
    assert told["url"] == f"https://dagster.example/runs/{rejected}"
    assert told["text"].startswith(
        f"calibration, run failed: nightly_calibration of {FIRST} (run {rejected[:8]}) failed in "
        "night_outcome: 1 of 1 nights published nothing"
    )
    assert "population sd" in told["text"]
    assert look(own, FAILURES, cursor).cursor == cursor
    own.run(FIRST)
    look(own, FAILURES, cursor)
    assert len(webhook.told) == 1


def test_a_crash_is_told_in_our_own_words_or_by_its_class_alone(
    programme: Programme, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = alerted(programme, webhook.url)
    cursor = look(own, FAILURES, None).cursor
    own.run(FIRST)
    (archived,) = (own.settings.home / "archive").rglob("*.parquet")
    archived.write_bytes(b"not Parquet")
    with pytest.raises(NightBlockedError) as blocked:
        own.run(NIGHTS[1])
    monkeypatch.setattr(
        "calibration_pipeline.orchestration.assets.responses.answer_remarks",
        lambda *_: (_ for _ in ()).throw(ValueError("candidate c20250326-00001 and a pass-word")),
    )
    with pytest.raises(ValueError, match="candidate"):
        own.run(FIRST, refresh=True)
    for _ in range(2):  # Dagster hands over one run in each look
        cursor = look(own, FAILURES, cursor).cursor
    texts = [told["text"] for told in webhook.told]
    assert len(texts) == 2
    assert str(blocked.value) in texts[0]
    assert "failed in responses: ValueError: the log of the run says more" in texts[1]
    assert "c20250326" not in texts[1]
    assert "pass-word" not in texts[1]


def test_a_run_that_dagster_tries_again_is_told_of_when_no_try_is_left(
    programme: Programme, webhook: Webhook
) -> None:
    own = alerted(programme, webhook.url)
    cursor = look(own, FAILURES, None).cursor
    failed = own.with_policy(population_sd_range=(2.0, 5.0)).run(FIRST)
    own.instance.add_run_tags(failed, {"dagster/will_retry": "true"})
    look(own, FAILURES, cursor)
    assert webhook.told == []
    own.instance.add_run_tags(failed, {"dagster/will_retry": "false"})
    look(own, FAILURES, cursor)
    assert len(webhook.told) == 1


def test_a_run_that_ended_outside_its_steps_says_what_is_known() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(_nothing)
        instance.report_run_failed(run, "the process was killed; candidate c1")
        event = instance.all_logs(run.run_id)[-1].dagster_event
    assert event is not None
    assert failure_text(event, []) == (
        "its process ended, or Dagster stopped it: the log of the run says more"
    )


@dg.job
def _nothing() -> None:
    pass


def overdue(alerts: Alerts, freshness: Freshness | Exception, now: datetime) -> dg.SensorDefinition:
    def read() -> Freshness:
        if isinstance(freshness, Exception):
            raise freshness
        return freshness

    return overdue_nights_sensor(alerts, read, DEADLINES, UI, lambda: now)


def morning(days_after: int, hour: int = 6) -> datetime:
    """An hour of a day after the programme's last night."""
    return datetime.combine(LAST + timedelta(days=days_after), time(hour), ZURICH)


def test_an_overdue_night_is_told_once_a_day_and_no_longer_once_it_is_done(
    calibrated: Programme, webhook: Webhook
) -> None:
    alerts = choose_alerts(alerted(calibrated, webhook.url).settings.alert)
    freshness = read_freshness(calibrated.engine)
    assert (freshness.accepted_night, freshness.version) == (LAST, len(NIGHTS))
    cursor: str | None = None
    for days, hour, told in [(1, 6, 0), (2, 5, 0), (2, 6, 1), (2, 23, 1), (3, 5, 1), (3, 6, 2)]:
        sensor = overdue(alerts, freshness, morning(days, hour))
        cursor = sensor.evaluate_tick(dg.build_sensor_context(cursor=cursor)).cursor
        assert len(webhook.told) == told, (days, hour)
    first, second = webhook.told
    assert first["kind"] == "night overdue"
    assert f"{LAST + timedelta(days=1)} has not been calibrated and accepted" in first["text"]
    assert first["url"] == "https://dagster.example/assets/item_fits"
    assert "2 nights up to" in second["text"]
    done = replace(freshness, accepted_night=LAST + timedelta(days=2))
    tick = overdue(alerts, done, morning(3, 7)).evaluate_tick(dg.build_sensor_context())
    assert json.loads(tick.cursor or "") == {}
    assert len(webhook.told) == 2


def test_a_sink_that_was_down_is_told_on_a_later_look_and_the_others_not_twice(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, calibrated: Programme
) -> None:
    class Counting:
        name = "log"
        told = 0

        def __call__(self, _alert: object) -> str:
            self.told += 1
            return ""

    monkeypatch.setattr(sinks, "TIMEOUT_SECONDS", 0.2)
    now, other = [0.0], Counting()
    alerts = Alerts([other, sinks.WebhookSink(webhook.url)], lambda: now[0])
    freshness = read_freshness(calibrated.engine)
    sensor = overdue(alerts, freshness, morning(2))
    webhook.answers = 503
    tick = sensor.evaluate_tick(dg.build_sensor_context())
    assert json.loads(tick.cursor or "") == {f"night {LAST + timedelta(days=1)}": ["log"]}
    tried = len(webhook.told)
    webhook.answers, now[0] = 200, 300.0
    tick = sensor.evaluate_tick(dg.build_sensor_context(cursor=tick.cursor))
    sensor.evaluate_tick(dg.build_sensor_context(cursor=tick.cursor))
    assert len(webhook.told) == tried + 1
    assert other.told == 1
    assert SECRET not in str(tick)


def test_a_database_that_stays_away_is_an_alert_on_the_second_look(webhook: Webhook) -> None:
    alerts = Alerts([sinks.WebhookSink(webhook.url)])
    away = DatabaseUnavailableError("the database can't be reached: start it")
    sensor = overdue(alerts, away, morning(2))
    cursor = sensor.evaluate_tick(dg.build_sensor_context()).cursor
    assert webhook.told == []
    for _ in range(2):
        cursor = sensor.evaluate_tick(dg.build_sensor_context(cursor=cursor)).cursor
    (told,) = webhook.told
    assert told["kind"] == "database unavailable"
    assert "start it" in told["text"]


def test_a_programme_before_its_first_night_and_a_spoilt_cursor_raise_nothing(
    programme: Programme, webhook: Webhook
) -> None:
    own = alerted(programme, webhook.url)
    tick = look(own, OVERDUE, "not JSON")
    assert tick.skip_message == "Nothing is overdue."
    assert webhook.told == []


def test_sensors_run_where_somebody_is_to_be_told(programme: Programme) -> None:
    for chosen, status in (("log", "RUNNING"), ("off", "STOPPED")):
        alert = Settings(alert={"sinks": (chosen,)}).alert  # type: ignore[arg-type]
        settings = programme.settings.model_copy(update={"alert": alert})
        definitions = build_definitions(settings)
        for name in (FAILURES, OVERDUE):
            assert definitions.resolve_sensor_def(name).default_status.value == status
