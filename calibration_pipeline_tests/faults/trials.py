"""Which faults strike which trial: a deck of all moments and kinds, dealt from a seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from calibration_pipeline_tests.faults.faults import ACTIONS, Fault, kinds_at
from calibration_pipeline_tests.faults.points import AFTER, BEFORE, BOUNDARIES, STEP_OF
from calibration_pipeline_tests.faults.programme import SCENARIOS

Visits = Mapping[str, Mapping[str, int]]
"""How often an undisturbed run of each scenario comes to each moment (`moment`)."""
Card = tuple[str, str, str]
"""A kind of fault, a point, and before or after it."""
_T = TypeVar("_T")
_COPIES_OF_SQL = 5
_HANDS = (1, 2, 3)


@dataclass(frozen=True)
class Trial:
    """Runs of the same nights, each struck by one fault; an undisturbed run follows."""

    number: int
    scenario: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return f"trial {self.number} ({self.scenario}): {'; then '.join(map(str, self.faults))}"


def moment(point: str, when: str) -> str:
    """Name a moment."""
    return f"{when} {point}"


def unreached(visits: Visits) -> list[str]:
    """List the moments that some scenario never comes to."""
    moments = [moment(point, when) for point in STEP_OF for when in (BEFORE, AFTER)]
    return [named for named in moments if not all(named in counts for counts in visits.values())]


def full_deck(seed: int, visits: Visits) -> list[Card]:
    """List every fault at every moment: kind after kind, each at the step struck least so far.

    Raises
    ------
    ValueError
        A moment is never reached: its point no longer stands where the work is done.
    """
    if missed := unreached(visits):
        raise ValueError(f"an undisturbed night never comes to {', '.join(missed)}")
    generator = random.Random(seed)  # noqa: S311 - which fault comes first is no secret
    others = [step for step in dict.fromkeys(STEP_OF.values()) if step not in BOUNDARIES]
    steps = [*_shuffled(BOUNDARIES, generator), *_shuffled(others, generator)]
    piles = {kind: _piles(kind, steps, generator) for kind in ACTIONS}
    dealt = dict.fromkeys(steps, 0)
    deck: list[Card] = []
    while any(piles.values()):
        for own in filter(None, piles.values()):
            step = min(own, key=dealt.__getitem__)
            dealt[step] += 1
            deck.append(own[step].pop())
            if not own[step]:
                del own[step]
    return deck


def _piles(kind: str, steps: Sequence[str], generator: random.Random) -> dict[str, list[Card]]:
    """Sort a kind's cards into a shuffled pile for each step that it can strike."""
    cards = list(_cards(kind))
    piles = {step: [card for own, card in cards if own == step] for step in steps}
    return {step: _shuffled(pile, generator) for step, pile in piles.items() if pile}


def _shuffled(values: Sequence[_T], generator: random.Random) -> list[_T]:
    return generator.sample(values, len(values))


def _cards(kind: str) -> Iterator[tuple[str, Card]]:
    for point, step in STEP_OF.items():
        for when in (BEFORE, AFTER):
            if kind in kinds_at(point, when):
                # One name stands for many statements.
                copies = _COPIES_OF_SQL if step == "SQL" else 1
                yield from [(step, (kind, point, when))] * copies


def plan_trial(number: int, seed: int, deck: Sequence[Card], visits: Visits) -> Trial:
    """Deal a trial its faults: one, two or three cards, on from where the trial before stopped.

    The same number, seed and visits give the same trial.
    """
    generator = random.Random(f"{seed}/{number}")  # noqa: S311
    scenario = generator.choices(SCENARIOS, weights=(2, 1))[0]
    rounds, turn = divmod(number, len(_HANDS))
    start = rounds * sum(_HANDS) + sum(_HANDS[:turn])
    faults = []
    for place in range(start, start + _HANDS[turn]):
        kind, point, when = deck[place % len(deck)]
        occurrence = generator.randint(1, visits[scenario][moment(point, when)])
        faults.append(Fault(kind, point, when, occurrence))
    return Trial(number, scenario, tuple(faults))
