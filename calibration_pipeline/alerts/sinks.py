"""Where alerts go: a sink tells somebody, or says why it couldn't."""

import json
import logging
from dataclasses import dataclass, field
from typing import Protocol

from calibration_pipeline.alerts.alert import Alert
from calibration_pipeline.alerts.posting import post_json

TIMEOUT_SECONDS = 5.0
TRIES = 2
LOG = logging.getLogger("calibration_pipeline.alerts")


class Sink(Protocol):
    """Tells somebody of an alert."""

    @property
    def name(self) -> str:
        """As in the settings."""

    def __call__(self, alert: Alert) -> str:
        """Tell it; give the reason if that failed, without any secret in it."""


@dataclass(frozen=True)
class LogSink:
    """Writes the line to the log of the process, which is that of Dagster's daemon or terminal."""

    name: str = "log"

    def __call__(self, alert: Alert) -> str:
        """Write it; a test alert is no error."""
        LOG.log(logging.WARNING if alert.kind == "test" else logging.ERROR, "%s", alert.line)
        return ""


@dataclass(frozen=True)
class WebhookSink:
    """Posts JSON whose `text` Slack, Mattermost and their like show as it is.

    Attributes
    ----------
    url
        A secret: whoever knows it can post there.
    """

    url: str = field(repr=False)
    name: str = "webhook"

    def __call__(self, alert: Alert) -> str:
        """Post it."""
        body = json.dumps(alert.document()).encode()
        return post_json(self.url, body, timeout_seconds=TIMEOUT_SECONDS, tries=TRIES)
