"""Answers as the contract suite writes them into every source."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from calibration_pipeline.store.sources.configuration import SourceConfiguration


@dataclass(frozen=True)
class Answer:
    """One answer; text as a source would hold it, hostile where its column can be.

    `session_id` is stated by sources that have sessions, and left out by the others.
    """

    candidate_id: str | None
    item_id: str | None
    code: str | None
    answered_at: str | None
    session_id: str | None = None
    position: int | None = None
    time_on_task_ms: int | None = None


class Filler(Protocol):
    """Writes answers into one kind of source, as the document that describes it has it."""

    kind: str
    has_sessions: bool

    def configuration(self, **changes: object) -> SourceConfiguration:
        """Point at what was filled."""
        ...

    def can_hold(self, answer: Answer) -> bool:
        """Whether the source's columns can hold such an answer."""
        ...

    def fill(self, answers: Sequence[Answer]) -> None:
        """Make the source anew, with these answers."""
        ...


def sitting(
    candidate: str,
    start: str = "2026-03-10T11:00:00+00:00",
    items: str = "i1 i2 i3",
    **changes: Any,
) -> list[Answer]:
    """One sitting: an answer every 30 seconds, wrong and right in turn."""
    begun = datetime.fromisoformat(start)
    return [
        Answer(
            **{
                "candidate_id": candidate,
                "item_id": item,
                "code": str(n % 2),
                "answered_at": (begun + timedelta(seconds=30 * n)).isoformat(),
                "session_id": f"{candidate} {start}",
            }
            | changes
        )
        for n, item in enumerate(items.split())
    ]
