"""From the settings to the sinks that they name."""

from pydantic import SecretStr

from calibration_pipeline.alert_configuration import AlertConfiguration
from calibration_pipeline.alerts.delivery import Alerts
from calibration_pipeline.alerts.mail import EmailSink, MailServer
from calibration_pipeline.alerts.sinks import LogSink, Sink, WebhookSink


def choose_alerts(configuration: AlertConfiguration) -> Alerts:
    """Put the sinks together; nothing is opened yet."""
    makers = {
        "log": lambda _: LogSink(),
        "webhook": _webhook,
        "email": _email,
    }
    return Alerts([makers[name](configuration) for name in configuration.sinks if name != "off"])


def _webhook(configuration: AlertConfiguration) -> Sink:
    return WebhookSink(_revealed(configuration.webhook_url))


def _email(configuration: AlertConfiguration) -> Sink:
    return EmailSink(
        MailServer(
            host=configuration.smtp_host or "",
            port=configuration.smtp_port,
            security=configuration.smtp_security,
            user=configuration.smtp_user,
            password=_revealed(configuration.smtp_password),
        ),
        sender=configuration.email_from or "",
        recipients=configuration.email_to,
    )


def _revealed(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
