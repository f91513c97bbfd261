"""What an alert says."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LONGEST = 600
"""Characters of a line: more is read in the log, which the link leads to."""


@dataclass(frozen=True)
class Alert:
    """Something that a person has to look at.

    Attributes
    ----------
    kind
        'run failed', 'night overdue', 'version too old', 'database unavailable' or 'test'.
    text
        What is wrong and what to do, for people. Neither secrets nor candidates belong in it.
    url
        Where to read more, such as the run in Dagster's web interface; empty if that isn't known.
    at
        When it was raised.
    """

    kind: str
    text: str
    url: str = ""
    at: datetime | None = None

    @property
    def line(self) -> str:
        """All of it in one line, cut where it is too long; the link stays whole."""
        words = " ".join(f"calibration, {self.kind}: {self.text}".split())
        cut = words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
        return f"{cut} {self.url}".rstrip()

    def document(self) -> dict[str, Any]:
        """Give it as JSON holds it; `text` is what chat services show."""
        moment = self.at or datetime.now(UTC)
        return {
            "text": self.line,
            "kind": self.kind,
            "url": self.url or None,
            "at": moment.isoformat(timespec="seconds"),
        }
