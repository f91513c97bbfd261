"""Answers in long format: sessions one after another, each a run of (item, right or wrong)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.model import BoolArray, FloatArray
from calibration_pipeline.irt.population import PopulationCells
from calibration_pipeline.irt.shards import AnswerShards, Engine

MINIMUM_SHARD_RESPONSES = 65_536
SHARD_RESPONSES_PER_ITEM = 32


@dataclass(frozen=True)
class ResponseData:
    """Answers of sessions to items that are numbered from 0.

    Attributes
    ----------
    session_offsets
        ``(n_sessions + 1,)`` int64; session s holds answers ``offsets[s]:offsets[s + 1]``.
    item
        ``(n_responses,)`` int32 item numbers.
    correct
        ``(n_responses,)`` uint8, 1 for a right answer and 0 for a wrong one.
    n_items
        Number of items, the unanswered ones included.
    weights
        ``(n_responses,)`` how often each answer counts; None for once.
    cells
        The population cell of every session; None for one cell.
    label
        ``(n_sessions,)`` int64 group of every session that a comparison tells apart; None where
        there is none.
    engine
        Where passes over these answers run, and over whatever is taken out of them; None for the
        threads of this process. It never changes a result.
    """

    session_offsets: NDArray[np.int64]
    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    n_items: int
    weights: FloatArray | None = None
    cells: PopulationCells | None = None
    label: NDArray[np.int64] | None = None
    engine: Engine | None = None

    def __post_init__(self) -> None:
        if self.session_offsets[0] != 0 or self.session_offsets[-1] != len(self.item):
            raise ValueError("session_offsets must start at 0 and end at the number of answers")
        if len(self.item) != len(self.correct):
            raise ValueError(f"{len(self.item)} items but {len(self.correct)} scores")
        if len(self.item) and not 0 <= self.item.min() <= self.item.max() < self.n_items:
            raise ValueError(f"item numbers must lie in [0, {self.n_items})")
        if len(self.correct) and self.correct.max() > 1:
            raise ValueError("scores must be 0 or 1")
        if self.weights is not None:
            if len(self.weights) != len(self.item):
                raise ValueError(f"{len(self.item)} answers but {len(self.weights)} weights")
            if not (np.isfinite(self.weights).all() and (self.weights >= 0.0).all()):
                raise ValueError("weights must be finite and not negative")
        if self.cells is not None and len(self.cells.cell) != self.n_sessions:
            raise ValueError(f"{self.n_sessions} sessions but {len(self.cells.cell)} cells")
        if self.label is not None and len(self.label) != self.n_sessions:
            raise ValueError(f"{self.n_sessions} sessions but {len(self.label)} labels")

    @property
    def n_sessions(self) -> int:
        """Number of sessions."""
        return len(self.session_offsets) - 1

    @property
    def n_responses(self) -> int:
        """Number of answers."""
        return len(self.item)

    @cached_property
    def table_rows(self) -> NDArray[np.int32]:
        """Row of each answer in a (2 · items × nodes) table: 2 · item + correct."""
        return 2 * self.item + self.correct

    @cached_property
    def weight_array(self) -> FloatArray:
        """The weights as the compiled loops take them: empty where every answer counts once."""
        return np.empty(0) if self.weights is None else np.ascontiguousarray(self.weights)

    @cached_property
    def population_cells(self) -> PopulationCells:
        """The cells, or the single one that stands for none."""
        return self.cells or PopulationCells.single(self.n_sessions)

    @cached_property
    def item_weights(self) -> FloatArray:
        """How often each item's answers count in all, ``(n_items,)``."""
        return np.bincount(self.item, self.weights, self.n_items).astype(np.float64)

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """Answers per item, ``(n_items,)``."""
        return np.bincount(self.item, minlength=self.n_items)

    @cached_property
    def shard_sessions(self) -> NDArray[np.int64]:
        """First session of each shard, and the number of sessions at the end.

        Shards hold a number of answers that depends on the data alone, never on the number of
        threads, and are reduced in order: that makes every sum the same to the byte.
        """
        size = max(MINIMUM_SHARD_RESPONSES, SHARD_RESPONSES_PER_ITEM * self.n_items)
        n_shards = max(1, -(-self.n_responses // size))
        targets = np.arange(1, n_shards) * size
        starts = np.searchsorted(self.session_offsets, targets)
        return np.unique(np.concatenate([[0], starts, [self.n_sessions]])).astype(np.int64)

    @cached_property
    def shards(self) -> AnswerShards:
        """What passes read."""
        return AnswerShards(
            self.session_offsets,
            self.table_rows,
            self.weight_array,
            self.population_cells.cell,
            np.empty(0, np.int64) if self.label is None else np.ascontiguousarray(self.label),
            self.shard_sessions,
        )

    def of_items(self, kept: BoolArray) -> "ResponseData":
        """Leave out the answers to some of the last items; sessions stay, even without answers.

        Parameters
        ----------
        kept
            ``(n_items,)`` True for the first items, which keep their numbers.
        """
        n_items = int(kept.sum())
        if n_items == self.n_items:
            return self
        answers = kept[self.item]
        before = np.concatenate([[0], np.cumsum(answers)])
        return replace(
            self,
            session_offsets=before[self.session_offsets],
            item=self.item[answers],
            correct=self.correct[answers],
            n_items=n_items,
            weights=None if self.weights is None else self.weights[answers],
        )

    def every(self, step: int) -> "ResponseData":
        """Keep each session whose number is a multiple of `step`."""
        return self if step == 1 else self.of_sessions(np.arange(0, self.n_sessions, step))

    def of_sessions(self, sessions: NDArray[np.integer]) -> "ResponseData":
        """Keep some sessions, by their numbers, in the order given."""
        lengths = np.diff(self.session_offsets)[sessions]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        answers = np.repeat(self.session_offsets[sessions] - offsets[:-1], lengths)
        answers += np.arange(offsets[-1])
        cells = self.cells and replace(self.cells, cell=self.cells.cell[sessions])
        return replace(
            self,
            session_offsets=offsets,
            item=self.item[answers],
            correct=self.correct[answers],
            weights=None if self.weights is None else self.weights[answers],
            cells=cells,
            label=None if self.label is None else self.label[sessions],
        )

    @classmethod
    def from_long(
        cls, person: Sequence[object], item: NDArray[np.integer], correct: NDArray[np.integer]
    ) -> "ResponseData":
        """Sort a long table by person; each person is one session.

        Parameters
        ----------
        person
            ``(n_responses,)`` any labels that sort.
        item
            ``(n_responses,)`` item numbers from 0.
        correct
            ``(n_responses,)`` 0 or 1.
        """
        _, person_number = np.unique(np.asarray(person), return_inverse=True)
        order = np.lexsort((np.asarray(item), person_number))
        counts = np.bincount(person_number)
        return cls(
            session_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            item=np.asarray(item)[order].astype(np.int32),
            correct=np.asarray(correct)[order].astype(np.uint8),
            n_items=int(np.max(item)) + 1,
        )
