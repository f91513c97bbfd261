"""`calibrate alerts test`, and the settings behind it."""

import json

import pytest

from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.receivers import (
    PASSWORD,
    SECRET,
    running_mail_server,
    running_webhook,
)


def set_alerts(monkeypatch: pytest.MonkeyPatch, **variables: object) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CALIBRATION_ALERT__{name}".upper(), str(value))


def test_without_settings_the_log_is_told(calibrate: Calibrate) -> None:
    result = calibrate("alerts", "test")
    assert result.exit_code == 0
    assert "log" in result.stdout
    assert "yes" in result.stdout


def test_every_sink_that_the_settings_name_is_told(
    calibrate: Calibrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_webhook() as webhook, running_mail_server() as mail:
        set_alerts(
            monkeypatch, sinks="log, webhook, email", webhook_url=webhook.url,
            ui_url="https://dagster.example", smtp_host="127.0.0.1", smtp_port=mail.port,
            smtp_security="none", smtp_user="calibration", smtp_password=PASSWORD,
            email_from="calibration@exams.example", email_to="lead@exams.example, b@exams.example",
        )  # fmt: skip
        result = calibrate("alerts", "test", "--json")
        assert result.exit_code == 0, result.output
        assert [(row["sink"], row["delivered"]) for row in json.loads(result.stdout)] == [
            ("log", True),
            ("webhook", True),
            ("email", True),
        ]
        assert webhook.told[0]["kind"] == "test"
        assert "nobody has to do anything" in webhook.told[0]["text"]
        assert mail.messages[0]["To"] == "lead@exams.example, b@exams.example"
        assert mail.logins == ["calibration"]
        webhook.answers = 404
        result = calibrate("alerts", "test")
        assert result.exit_code == 1
        assert "it answered 404" in result.stdout
        for secret in (SECRET, PASSWORD):
            assert secret not in result.output


def test_off_tells_nobody(calibrate: Calibrate, monkeypatch: pytest.MonkeyPatch) -> None:
    set_alerts(monkeypatch, sinks="off")
    result = calibrate("alerts", "test")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nobody is told" in result.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"sinks": "pigeon"}, "CALIBRATION_ALERT__SINKS can't be used"),
        ({"sinks": "log,off"}, "off stands alone"),
        ({"sinks": "log,log"}, "names one twice"),
        ({"sinks": "webhook"}, "the sink webhook needs webhook_url"),
        ({"sinks": "email", "smtp_host": "m"}, "the sink email needs email_from, email_to"),
        ({"webhook_url": f"ftp://{SECRET}"}, "webhook_url is not a web address"),
        ({"webhook_url": f"https://u:{SECRET}@h"}, "webhook_url is not a web address"),
        ({"ui_url": "dagster.example"}, "ui_url is not a web address"),
        ({"deadline_hour": 24}, "deadline_hour must be from 0 to 23"),
        ({"maximum_version_age_days": 0}, "maximum_version_age_days must be above 0"),
        ({"email_to": "a@b, Lead <c@d>"}, "an e-mail address is name@host"),
        ({"smtp_user": "a"}, "smtp_user goes with smtp_password"),
        (
            {"smtp_host": "mail.example", "smtp_security": "none", "smtp_user": "a",
             "smtp_password": SECRET},
            "a password travels under starttls or tls alone",
        ),
        ({"sink": "log"}, "nearest: CALIBRATION_ALERT__SINKS"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_refused_in_one_line_without_its_secret(
    calibrate: Calibrate,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, object],
    said: str,
) -> None:
    set_alerts(monkeypatch, **variables)
    result = calibrate("alerts", "test")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "CALIBRATION_ALERT" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert SECRET not in result.output
