"""How work that takes long tells whoever waits for it how far it is."""

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

Tell = Callable[[str, int, int], None]
"""Told what is being done, how many of its steps are done, and how many there are."""

_Step = TypeVar("_Step")


def tell_nobody(what: str, done: int, of: int) -> None:
    """Tell nobody."""


def told(tell: Tell, what: str, steps: Collection[_Step]) -> Iterator[_Step]:
    """Give the steps one after another, and tell before each how many are done."""
    for done, step in enumerate(steps):
        tell(what, done, len(steps))
        yield step
