"""Days made by hand: sessions of a few answers, with whatever else the log may state."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from calibration_pipeline.policy.gathering import gather
from calibration_pipeline.policy.windows import ScaleResponses, response_data
from calibration_pipeline.records import OUTCOMES, DayResponses, DayRevision

DAY = date(2026, 3, 10)


@dataclass(frozen=True)
class Session:
    """One session: items (numbers in the bank), scores, and per answer or session what is known."""

    items: Sequence[int]
    scores: Sequence[int]
    person: str = ""
    start: float = np.nan
    group: str = ""
    times: Sequence[int] = field(default=())
    outcomes: Sequence[str] = field(default=())


def make_day(sessions: Sequence[Session], when: date = DAY) -> DayResponses:
    """Archive the sessions; a column that none of them states is absent."""
    item = np.array([j for s in sessions for j in s.items], np.int32)
    groups = tuple(sorted({s.group for s in sessions if s.group}))
    times = [t for s in sessions for t in (s.times or [-1] * len(s.items))]
    outcomes = [
        OUTCOMES.index(o) for s in sessions for o in (s.outcomes or ["scored"] * len(s.items))
    ]
    people = [s.person.encode().ljust(16, b"\0") for s in sessions]
    ids = [f"s{number}".encode().ljust(16, b"\0") for number in range(len(sessions))]
    starts = np.array([s.start for s in sessions], float)
    return DayResponses(
        revision=DayRevision(when, 1, "", len(item), len(sessions), {}),
        keys=tuple((f"i{j:05d}", 1) for j in range(int(item.max(initial=-1)) + 1)),
        session_offsets=np.cumsum([0, *(len(s.items) for s in sessions)]).astype(np.int64),
        item=item,
        correct=np.array([x for s in sessions for x in s.scores], np.uint8),
        session_pseudonyms=np.frombuffer(b"".join(ids), "V16"),
        candidate_pseudonyms=np.frombuffer(b"".join(people), "V16"),
        outcome=np.array(outcomes, np.uint8) if any(outcomes) else None,
        time_on_task_ms=np.array(times, np.int32) if max(times, default=-1) >= 0 else None,
        starting_ability=starts if np.isfinite(starts).any() else None,
        population_group=(
            np.array([groups.index(s.group) if s.group else -1 for s in sessions], np.int32)
            if groups
            else None
        ),
        group_names=groups,
    )


def unscreened(days, bank, in_scale, minimum_session_answers: int) -> ScaleResponses:
    """One scale's answers as they are; sessions with fewer answers are left out."""
    answers = gather(days, bank, in_scale)
    kept = answers.lengths >= minimum_session_answers
    data = response_data(answers.of_sessions(kept), kept, int(in_scale.sum()))
    dates = [np.datetime64(day.revision.day) for day in days]
    lengths = [len(day.session_offsets) - 1 for day in days]
    return ScaleResponses(data, np.flatnonzero(kept), np.repeat(dates, lengths)[kept])
