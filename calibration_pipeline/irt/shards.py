"""What a pass over the answers reads, in shards, and who runs it.

A pass gives sums over all answers (`SumPass`) or values of every session (`SessionPass`). Sums are
those of floating-point numbers, so their order is part of the result, and it is fixed: a *block*
adds up its eight shards one after another, and blocks are added in a binary tree that their number
alone determines. Any node of that tree can be computed elsewhere without changing a byte.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.model import FloatArray

if TYPE_CHECKING:
    from calibration_pipeline.irt.responses import ResponseData

SHARDS_PER_BLOCK = 8
"""More would leave less to be done elsewhere; fewer would add tables more often."""

Sums = tuple[FloatArray, ...]
"""What a pass adds up, two axes each."""


@dataclass(frozen=True)
class AnswerShards:
    """Consecutive shards of answers, as the compiled loops read them.

    Attributes
    ----------
    session_offsets
        ``(n_sessions + 1,)`` int64; session s holds answers ``offsets[s]:offsets[s + 1]``.
    rows
        ``(n_responses,)`` int32 row of each answer in a table: 2 · item + correct.
    weights
        ``(n_responses,)`` how often each answer counts; empty where every one counts once.
    cell
        ``(n_sessions,)`` int32 population cell of each session.
    label
        ``(n_sessions,)`` int64 group of each session that a comparison tells apart; empty where
        there is none.
    boundaries
        ``(n_shards + 1,)`` int64 first session of each shard, and the number of sessions.
    """

    session_offsets: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: FloatArray
    cell: NDArray[np.int32]
    label: NDArray[np.int64]
    boundaries: NDArray[np.int64]

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return len(self.boundaries) - 1

    @property
    def n_blocks(self) -> int:
        """Number of blocks, of which the last may be short."""
        return -(-self.n_shards // SHARDS_PER_BLOCK)

    @property
    def n_sessions(self) -> int:
        """Number of sessions."""
        return len(self.session_offsets) - 1

    def blocks(self, first: int, end: int) -> "AnswerShards":
        """Take the blocks from `first` to before `end` out; nothing is copied but offsets."""
        boundaries = self.boundaries[first * SHARDS_PER_BLOCK : end * SHARDS_PER_BLOCK + 1]
        sessions = slice(int(boundaries[0]), int(boundaries[-1]))
        offsets = self.session_offsets[sessions.start : sessions.stop + 1]
        answers = slice(int(offsets[0]), int(offsets[-1]))
        return replace(
            self,
            session_offsets=offsets - offsets[0],
            rows=self.rows[answers],
            weights=self.weights[answers],
            cell=self.cell[sessions],
            label=self.label[sessions],
            boundaries=boundaries - boundaries[0],
        )


class PreparedSums(Protocol):
    """A pass that has made its tables, over certain shards."""

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of the sums."""

    def fill(self, first: int, n_shards: int, buffers: Sequence[FloatArray]) -> None:
        """Compute the sums of `n_shards` shards, each into a row of every buffer.

        Parameters
        ----------
        first
            Number of the first shard.
        n_shards
            At most the number of rows.
        buffers
            ``(n_rows, *shape)`` each; what they hold is overwritten.
        """


class SumPass(Protocol):
    """A pass that adds something up; small, so that it can be sent to where the answers are."""

    def over(self, shards: AnswerShards) -> PreparedSums:
        """Make the tables that these shards need."""


class SessionPass(Protocol):
    """A pass that gives values of every session; small, as `SumPass`."""

    def of(self, shards: AnswerShards) -> FloatArray:
        """Compute ``(n_values, n_sessions)``."""


class Engine(Protocol):
    """Where passes run. All engines give the same bytes."""

    def total(self, data: "ResponseData", work: SumPass) -> Sums:
        """Add a pass up over all answers; zeros where there are none."""

    def each(self, data: "ResponseData", work: SessionPass) -> FloatArray:
        """Values of every session, ``(n_values, n_sessions)``."""


def halves(first: int, end: int) -> int:
    """Where the tree divides the blocks from `first` to before `end`; it has two or more."""
    return first + (end - first + 1) // 2


def added(left: Sums, right: Sums) -> Sums:
    """Add two neighbouring nodes of the tree."""
    return tuple(a + b for a, b in zip(left, right, strict=True))


def tree_sum(n_blocks: int, blocks: Iterator[Sums]) -> Sums:
    """Add up the sums of `n_blocks` blocks, which come in order; they are overwritten."""
    if n_blocks == 1:
        return next(blocks)
    n_left = halves(0, n_blocks)
    left = tree_sum(n_left, blocks)
    right = tree_sum(n_blocks - n_left, blocks)
    for total, more in zip(left, right, strict=True):
        total += more
    return left
