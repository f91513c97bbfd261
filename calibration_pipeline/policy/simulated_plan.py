"""What to simulate, and the streams of random numbers that follow from its seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from math import isfinite

import numpy as np

from calibration_pipeline.policy.simulated_pool import PoolPlan


class Stream(IntEnum):
    """Kinds of child seed: each draw is of a stream that no other draw touches."""

    POOL = 0
    CANDIDATES = 1
    SESSIONS = 2
    GROUPS = 3
    RAPID_GUESSES = 4
    LEAKS = 5


@dataclass(frozen=True)
class SimulationPlan(PoolPlan):
    """What to simulate: the pool (see `PoolPlan`) and its traffic.

    Attributes
    ----------
    last_day
        Local day of the last sessions.
    days, sessions_per_day, answers
        How much: days, sessions that start on each, answers of each session.
    pool_share
        Share of the pool that the engine lets one session see.
    returning_share
        Share of a day's sessions taken by candidates who were new 7 to 60 days ago.
    engine_remembers
        Whether a returning candidate's session starts at the engine's estimate after the
        candidate's first session; otherwise every session starts from N(0, 1).
    group_shifts
        Mean ability of each population group, by its name; a candidate belongs to each with the
        same chance. Without any, the log names no group and abilities are N(0, 1).
    rapid_guess_share
        Share of answers given in a second or two without reading: right by chance alone, and
        never right where an item has no options to choose from.
    leaked_from, leak_share
        First local day on which leaked items are known (None: never), and the share of a day's
        candidates who know them from then on. They are right with probability .95 and need .6 of
        the time.
    timezone
        IANA name of the zone in which a day begins.
    seed
        The only source of randomness, a whole number from 0.
    """

    last_day: date
    days: int = 35
    sessions_per_day: int = 500
    answers: int = 30
    pool_share: float = 0.025
    returning_share: float = 0.2
    engine_remembers: bool = False
    group_shifts: Mapping[str, float] = field(default_factory=dict)
    rapid_guess_share: float = 0.0
    leaked_from: date | None = None
    leak_share: float = 0.6
    timezone: str = "Europe/Zurich"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.days, self.sessions_per_day, self.answers) < 1 or self.seed < 0:
            raise ValueError("days, sessions and answers count from 1, the seed from 0")
        if self.items < self.answers:
            raise ValueError(f"a session of {self.answers} answers needs as many items")
        if not 0.0 < self.pool_share <= 1.0 or not 0.0 <= self.returning_share < 1.0:
            raise ValueError("a share lies between 0 and 1, and some candidates must be new")
        if not 0.0 <= self.rapid_guess_share < 1.0:
            raise ValueError("the share of rapid guesses lies between 0 and 1, and must be below 1")
        if not 0.0 < self.leak_share <= 1.0:
            raise ValueError("a leak reaches a share of candidates above 0")
        if not all(name and isfinite(shift) for name, shift in self.group_shifts.items()):
            raise ValueError("a population group needs a name and a finite mean")

    @property
    def response_count(self) -> int:
        """Answers in all."""
        return self.days * self.sessions_per_day * self.answers

    def generator(self, stream: Stream, number: int = 0) -> np.random.Generator:
        """Start the stream of one kind of draw, by calendar day where it has one."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(stream, number)))
