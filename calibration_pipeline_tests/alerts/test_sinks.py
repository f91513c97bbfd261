"""Sinks, against a real web server and a real mail server."""

import logging
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calibration_pipeline.alert_configuration import AlertConfiguration
from calibration_pipeline.alerts import sinks
from calibration_pipeline.alerts.alert import Alert
from calibration_pipeline.alerts.choosing import choose_alerts
from calibration_pipeline.alerts.delivery import Alerts
from calibration_pipeline.alerts.mail import EmailSink
from calibration_pipeline.alerts.mail import MailServer as Server
from calibration_pipeline.alerts.sinks import LogSink, WebhookSink
from calibration_pipeline.settings import Settings
from calibration_pipeline_tests.receivers import (
    PASSWORD,
    SECRET,
    MailServer,
    Webhook,
    running_mail_server,
    running_webhook,
)

ALERT = Alert(
    "run failed",
    "nightly_calibration of 2026-03-01 failed in item_fits: the disk is full",
    "https://dagster.example/runs/0a1b",
    datetime(2026, 3, 2, 4, 3, tzinfo=UTC),
)
LINE = (
    "calibration, run failed: nightly_calibration of 2026-03-01 failed in item_fits: the disk is "
    "full https://dagster.example/runs/0a1b"
)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as found:
        yield found


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with running_mail_server() as found:
        yield found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "TIMEOUT_SECONDS", 0.3)


def emailing(server: Server) -> EmailSink:
    return EmailSink(server, "calibration@exams.example", ["lead@exams.example", "b@exams.example"])


def test_an_alert_is_one_line_with_its_link() -> None:
    assert ALERT.line == LINE
    broken = replace(ALERT, text="two\nlines\tof  it " + "x" * 2000)
    assert "\n" not in broken.line
    assert broken.line.startswith("calibration, run failed: two lines of it xxx")
    assert broken.line.endswith("x… https://dagster.example/runs/0a1b")
    assert len(broken.line) < 700


def test_the_log_has_the_line(caplog: pytest.LogCaptureFixture) -> None:
    assert LogSink()(ALERT) == ""
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", LINE)]


def test_a_webhook_is_posted_json_that_chat_services_show(webhook: Webhook) -> None:
    assert WebhookSink(webhook.url)(ALERT) == ""
    assert webhook.told == [
        {
            "text": LINE,
            "kind": "run failed",
            "url": "https://dagster.example/runs/0a1b",
            "at": "2026-03-02T04:03:00+00:00",
        }
    ]


@pytest.mark.parametrize("trouble", ["refuses", "answers 503", "hangs"])
def test_a_webhook_in_trouble_is_a_reason_without_its_address(
    webhook: Webhook, trouble: str
) -> None:
    webhook.answers = 503
    webhook.hangs_for = 2.0 if trouble == "hangs" else 0.0
    if trouble == "refuses":
        webhook.stop()
    why = WebhookSink(webhook.url)(ALERT)
    reasons = {"refuses": "ConnectionRefusedError", "answers 503": "503", "hangs": "TimeoutError"}
    assert reasons[trouble] in why
    assert SECRET not in why
    assert len(webhook.told) == (2 if trouble == "answers 503" else 0)


def test_a_mail_has_a_subject_of_one_line_and_says_all(mail: MailServer) -> None:
    sink = emailing(Server("127.0.0.1", mail.port, "none"))
    assert sink(replace(ALERT, text=f"{ALERT.text}\nBcc: everybody@example.org")) == ""
    (message,) = mail.messages
    assert message["From"] == "calibration@exams.example"
    assert message["To"] == "lead@exams.example, b@exams.example"
    assert message["Bcc"] is None
    assert message["Subject"].startswith("calibration, run failed: nightly_calibration of 2026")
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_content()
    assert ALERT.text in body
    assert ALERT.url in body
    assert mail.logins == []


def test_a_mail_server_is_logged_in_to(mail: MailServer) -> None:
    server = Server("127.0.0.1", mail.port, "none", "calibration", PASSWORD)
    assert emailing(server)(ALERT) == ""
    assert mail.logins == ["calibration"]
    why = emailing(replace(server, password="wrong"))(ALERT)  # noqa: S106 - that is the point
    assert why == "it answered 535"
    assert len(mail.messages) == 1


def test_a_passing_refusal_is_tried_again_and_a_lasting_one_is_not(mail: MailServer) -> None:
    sink = emailing(Server("127.0.0.1", mail.port, "none"))
    mail.answer = "451 later"
    assert sink(ALERT) == "it answered 451"
    assert len(mail.messages) == sinks.TRIES
    mail.answer = "554 never"
    assert sink(ALERT) == "it answered 554"
    assert len(mail.messages) == sinks.TRIES + 1


def test_a_mail_server_that_is_away_is_a_reason_alone() -> None:
    with running_mail_server() as server:
        port = server.port
    sink = emailing(Server("127.0.0.1", port, "none", "calibration", PASSWORD))
    assert sink(ALERT) == "ConnectionRefusedError"


def test_starttls_is_spoken_and_its_certificate_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the command openssl to make a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=tests"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    name = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *request, *files, *name], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setattr(sinks, "TIMEOUT_SECONDS", 5.0)
    with running_mail_server(context) as server:
        sink = emailing(Server("127.0.0.1", server.port, "starttls", "calibration", PASSWORD))
        assert sink(ALERT) == "SSLCertVerificationError"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert sink(ALERT) == ""
        assert server.logins == ["calibration"]
        assert len(server.messages) == 1


def test_every_sink_is_told_whatever_the_others_do(
    webhook: Webhook, mail: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        name = "broken"

        def __call__(self, alert: Alert) -> str:
            raise RuntimeError(f"cannot reach {SECRET}")

    mailing = emailing(Server("127.0.0.1", mail.port, "none"))
    outcome = Alerts([Broken(), WebhookSink(webhook.url), mailing]).tell(ALERT)
    assert outcome == {"broken": "RuntimeError", "webhook": "", "email": ""}
    assert len(webhook.told) == len(mail.messages) == 1
    assert f"an alert was not delivered (broken: RuntimeError): {LINE}" in caplog.text
    assert SECRET not in caplog.text


def test_a_sink_that_failed_is_left_alone_for_a_minute(webhook: Webhook) -> None:
    now = [0.0]
    alerts = Alerts([WebhookSink(webhook.url)], lambda: now[0])
    webhook.answers = 500
    assert alerts.tell(ALERT) == {"webhook": "it answered 500"}
    assert "left alone" in alerts.tell(ALERT)["webhook"]
    assert len(webhook.told) == sinks.TRIES
    webhook.answers, now[0] = 200, 61.0
    assert alerts.tell(ALERT) == {"webhook": ""}
    assert alerts.tell(ALERT, told=["webhook"]) == {}
    assert len(webhook.told) == sinks.TRIES + 1


def test_the_settings_name_the_sinks_and_no_secret_is_shown(webhook: Webhook) -> None:
    assert [sink.name for sink in choose_alerts(AlertConfiguration()).sinks] == ["log"]
    assert choose_alerts(AlertConfiguration(sinks=("off",))).sinks == ()
    chosen = {
        "sinks": ("log", "webhook", "email"), "webhook_url": webhook.url,
        "smtp_host": "mail.example", "email_from": "a@example.org", "email_to": ("b@example.org",),
        "smtp_user": "calibration", "smtp_password": PASSWORD,
    }  # fmt: skip
    configuration = Settings(alert=chosen).alert  # type: ignore[arg-type]
    found = choose_alerts(configuration).sinks
    assert [sink.name for sink in found] == ["log", "webhook", "email"]
    for secret in (SECRET, PASSWORD):
        assert secret not in repr(configuration)
        assert secret not in repr(found)
    assert logging.getLogger("calibration_pipeline.alerts") is sinks.LOG
