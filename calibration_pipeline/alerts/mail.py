"""Alerts by e-mail."""

import smtplib
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime

from calibration_pipeline.alerts import sinks
from calibration_pipeline.alerts.alert import Alert

_LONGEST_SUBJECT = 120
_PERMANENT = 500
"""SMTP codes from here on are refusals that another try would meet again."""


@dataclass(frozen=True)
class MailServer:
    """The SMTP server that takes alerts in.

    Attributes
    ----------
    host, port
        Where it listens.
    security
        'starttls', 'tls' (from the first byte on) or 'none'.
    user, password
        For its login; no login where there is no user. The password is a secret.
    """

    host: str
    port: int
    security: str = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EmailSink:
    """Sends a short plain message."""

    server: MailServer
    sender: str
    recipients: Sequence[str]
    name: str = "email"

    def __call__(self, alert: Alert) -> str:
        """Send it, twice if need be; say why it failed, without what the server wrote."""
        message = self.message(alert)
        reason = ""
        for attempt in range(sinks.TRIES):
            if attempt:
                time.sleep(min(0.5 * attempt, sinks.TIMEOUT_SECONDS))
            try:
                refused = _send(self.server, message)
            except smtplib.SMTPResponseException as error:
                reason = f"it answered {error.smtp_code}"
                if error.smtp_code >= _PERMANENT:
                    return reason
            except (OSError, smtplib.SMTPException, ValueError) as error:
                reason = type(error).__name__
            else:
                return f"it refused {refused} of the recipients" if refused else ""
        return reason

    def message(self, alert: Alert) -> EmailMessage:
        """Write the message; a subject is one line whatever the alert holds."""
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        subject = " ".join(f"calibration, {alert.kind}: {alert.text}".split())
        message["Subject"] = subject[:_LONGEST_SUBJECT]
        if alert.at:
            message["Date"] = format_datetime(alert.at)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n\n".join(filter(None, [alert.text, alert.url])))
        return message


def _send(server: MailServer, message: EmailMessage) -> int:
    """Hand a message in; give the number of recipients that the server refused."""
    context = ssl.create_default_context()
    if server.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=sinks.TIMEOUT_SECONDS, context=context
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=sinks.TIMEOUT_SECONDS)
    with connection:
        if server.security == "starttls":
            connection.starttls(context=context)
        if server.user is not None:
            connection.login(server.user, server.password or "")
        return len(connection.send_message(message))
