"""Settings of alerts, with their defaults."""

from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from calibration_pipeline.irt.configuration import require
from calibration_pipeline.web_addresses import WHAT_IS_WANTED, can_be_called

SinkName = Literal["log", "email", "webhook", "off"]
_NEEDED = {"webhook": ("webhook_url",), "email": ("smtp_host", "email_from", "email_to")}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class AlertConfiguration:
    """Who is told when a run failed or a night is overdue, and how.

    Attributes
    ----------
    sinks
        'log', 'email', 'webhook', or 'off' alone.
    deadline_hour
        Local hour by which last night must have been calibrated and accepted.
    maximum_version_age_days
        Days after its publication from which the version in force is too old.
    ui_url
        Where people open Dagster's web interface; alerts link to the run there.
    webhook_url
        Where JSON is posted. A secret.
    email_from, email_to
        Sender, and recipients.
    smtp_host, smtp_port
        The mail server.
    smtp_security
        'starttls', 'tls' from the first byte on, or 'none'.
    smtp_user, smtp_password
        For its login; unset, none is made.
    """

    sinks: tuple[SinkName, ...] = ("log",)
    deadline_hour: int = 6
    maximum_version_age_days: float = 7.0
    ui_url: str | None = None
    webhook_url: SecretStr | None = None
    email_from: str | None = None
    email_to: tuple[str, ...] = ()
    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None

    def __post_init__(self) -> None:
        require("off" not in self.sinks or self.sinks == ("off",), "sinks: off stands alone")
        require(len(set(self.sinks)) == len(self.sinks), "sinks names one twice")
        require(0 <= self.deadline_hour <= 23, "deadline_hour must be from 0 to 23")
        require(self.maximum_version_age_days > 0, "maximum_version_age_days must be above 0")
        require(1 <= self.smtp_port <= 65535, "smtp_port must be from 1 to 65535")
        for sink, needed in _NEEDED.items():
            missing = [name for name in needed if not getattr(self, name)]
            require(sink not in self.sinks or not missing,
                    f"the sink {sink} needs {', '.join(missing)}")  # fmt: skip
        webhook = self.webhook_url.get_secret_value() if self.webhook_url else None
        for name, url in (("webhook_url", webhook), ("ui_url", self.ui_url)):
            require(url is None or can_be_called(url), f"{name} is {WHAT_IS_WANTED}")
        for address in filter(None, [self.email_from, *self.email_to]):
            require(_is_address(address), "an e-mail address is name@host, without spaces")
        require((self.smtp_user is None) == (self.smtp_password is None),
                "smtp_user goes with smtp_password")  # fmt: skip
        require(
            self.smtp_user is None or self.smtp_security != "none" or self.smtp_host in _LOOPBACK,
            "a password travels under starttls or tls alone",
        )


def _is_address(text: str) -> bool:
    name, _, host = text.rpartition("@")
    return bool(name and host) and text.isprintable() and not any(c in text for c in ' ,;<>"')
