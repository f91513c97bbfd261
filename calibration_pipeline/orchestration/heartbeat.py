"""The heartbeat: after each run of nights one file, and one message to an outside watchdog.

A programme that has stopped can't say so. A watchdog outside expects a message every night, and
raises the alarm when none comes, or when the message says that a night published nothing.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from calibration_pipeline.alerts.posting import post_json
from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.records import PUBLISHED_NOTHING
from calibration_pipeline.store.private_files import private_file

FILE_NAME = "heartbeat.json"
TIMEOUT_SECONDS = 5.0
TRIES = 2


@dataclass(frozen=True)
class Beat:
    """What a run of nights has to say of itself.

    Attributes
    ----------
    night
        The run's last night, or the first one that published nothing.
    outcome
        As in the run log.
    version
        The version that the night published; None if none.
    current
        The version that engines read; None before the first one, and after a crash, when the
        database may be what failed.
    held_back
        Why that isn't the night's version; an empty string if it is, or the night has none.
    """

    night: date
    outcome: str
    version: int | None = None
    current: int | None = None
    held_back: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nobody has to look at it."""
        return self.outcome not in PUBLISHED_NOTHING


class Heartbeat(Protocol):
    """Tells the outside how a run of nights ended."""

    def __call__(self, beat: Beat) -> list[str]:
        """Tell it; give a warning for whatever couldn't be told. Never raises."""


def no_heartbeat(beat: Beat) -> list[str]:
    """Tell nobody."""
    del beat
    return []


@dataclass(frozen=True)
class WatchdogHeartbeat:
    """Writes the file, and posts the same JSON to a watchdog if there is one.

    Attributes
    ----------
    folder
        Where the file stands.
    url
        Called when all is well; with ``/fail`` at the end of its path when it isn't, which is the
        convention of healthchecks.io and of what is made like it. It is a secret: whoever knows it
        can silence the watchdog. None: there is no watchdog.
    next_expected
        Gives the moment by which the next heartbeat is to be expected.
    now
        Gives the moment.
    """

    folder: Path
    url: str | None
    next_expected: Callable[[datetime], datetime]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, beat: Beat) -> list[str]:
        """Tell file and watchdog; give a warning for each that couldn't be told."""
        moment = self.now()
        content = {"finished_at": moment, "next_expected_at": self.next_expected(moment)}
        told = {name: value.isoformat() for name, value in content.items()}
        told |= asdict(beat) | {"night": beat.night.isoformat()}
        body = json.dumps(told, indent=2).encode()
        warnings = [_write(self.folder, body)]
        if self.url is not None:
            warnings.append(_post(self.url if beat.is_well else failure_url(self.url), body))
        return [warning for warning in warnings if warning]


def failure_url(url: str) -> str:
    """Put ``/fail`` at the end of a URL's path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))


def _write(folder: Path, body: bytes) -> str:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with private_file(folder / FILE_NAME) as file:
            file.write(body)
    except (CalibrationError, OSError) as error:
        return f"the heartbeat was not written: {error}"
    return ""


def _post(url: str, body: bytes) -> str:
    """Post a body, twice if need be; say why it failed, without the URL and its secret."""
    reason = post_json(url, body, timeout_seconds=TIMEOUT_SECONDS, tries=TRIES)
    if not reason:
        return ""
    return f"the watchdog of CALIBRATION_HEARTBEAT_URL was not told, in {TRIES} tries: {reason}"
