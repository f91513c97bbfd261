"""Differential item functioning: is an item harder for one of two groups of equal ability.

For every item j and group g, with p the probability of an answer predicted from the session's
*other* answers and its own population, and ∂p its derivative by φ = (log a, b, logit c):

1. Score S = Σ (x − p) ∂p / (p(1 − p)) and information I = Σ ∂p ∂pᵀ / (p(1 − p)) of a shift of φ in
   that group. The score of the marginal likelihood is exactly this sum, so it is centred at 0
   for adaptively chosen items and groups of unequal ability too (their difference is impact, not
   differential functioning).
2. Each focal group is compared with the reference group, against the average item
   (`differential_contrast`: score test, purified average, adjusted p values, size).
3. Items that differ get each group's own difficulty and all sums are taken again, twice: one step
   from the common difficulty misses up to a tenth of a shift of 0.5, and the abilities with which
   the other items are judged must not rest on items that differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt import differential_kernels
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.differential_contrast import (
    GroupContrast,
    GroupSums,
    contrast_groups,
)
from calibration_pipeline.irt.local_engine import engine_of
from calibration_pipeline.irt.model import BoolArray, FloatArray
from calibration_pipeline.irt.passes import FittedValues, Tables
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.shards import AnswerShards

IntArray = NDArray[np.int64]

REFINEMENTS = 2
DIFFERING_LEVEL = 0.05
"""Adjusted p value at which an item gets a difficulty of its own in each group."""


@dataclass(frozen=True)
class DifferentialFunctioning:
    """Every focal group against the reference group.

    Attributes
    ----------
    reference
        The reference group's number.
    answers
        ``(n_groups, n_items)`` answers (their weights, added up).
    contrasts
        One per other group, in their order; none where there is one group alone.
    """

    reference: int
    answers: FloatArray
    contrasts: tuple[GroupContrast, ...]


@dataclass(frozen=True)
class FittedAnswers:
    """Answers with their groups as labels, and what was fitted to them."""

    data: ResponseData
    parameters: FloatArray
    population: Population
    configuration: EMConfiguration

    def shifted_sums(self, number: int, shift: FloatArray) -> GroupSums:
        """Sums of one group, whose difficulties are shifted by ``shift (n_items,)``."""
        parameters = self.parameters + np.outer(shift, [0.0, 1.0, 0.0])
        (sums,) = replace(self, parameters=parameters).sums((number,))
        return sums

    def sums(self, groups: Sequence[int]) -> tuple[GroupSums, ...]:
        """Score and information of every item in each of these groups."""
        data = self.data
        cells = data.population_cells.without_sessions()
        values = FittedValues(self.parameters, self.population, cells, self.configuration)
        (total,) = engine_of(data).total(data, GroupScorePass(values, tuple(groups)))
        by_group = total.reshape(len(groups), data.n_items, -1)
        return tuple(GroupSums.from_rows(rows) for rows in by_group)


@dataclass(frozen=True)
class GroupScorePass:
    """Sums of some groups, by group and item: `differential_kernels.group_score_wave`."""

    values: FittedValues
    groups: tuple[int, ...]

    def over(self, shards: AnswerShards) -> "_GroupScores":
        """Make the tables."""
        place = np.full(len(shards.label), -1)
        for number, group in enumerate(self.groups):
            place[shards.label == group] = number
        tables = Tables(self.values)
        return _GroupScores(
            shards, tables, np.exp(-tables.log_probabilities), place, len(self.groups)
        )


@dataclass(frozen=True)
class _GroupScores:
    shards: AnswerShards
    tables: Tables
    inverse: FloatArray
    place: IntArray
    n_groups: int

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        n_items = len(self.tables.probabilities)
        return ((self.n_groups * n_items, differential_kernels.N_SUMS),)

    def fill(self, first: int, n_shards: int, buffers: Sequence[FloatArray]) -> None:
        shards, tables = self.shards, self.tables
        differential_kernels.group_score_wave(
            first, n_shards, shards.boundaries, shards.session_offsets, shards.rows,
            shards.weights, shards.cell, self.place, tables.log_probabilities,
            tables.log_weights, self.inverse, tables.probabilities, tables.gradients, buffers[0],
        )  # fmt: skip


def differential_functioning(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    group: NDArray[np.integer],
    configuration: EMConfiguration,
    *,
    n_groups: int | None = None,
    reference: int | None = None,
    free: BoolArray | None = None,
    compared: BoolArray | None = None,
    minimum_answers: float = 1.0,
) -> DifferentialFunctioning:
    """Test every item for a shift of its difficulty between each group and the reference group.

    Parameters
    ----------
    data
        The answers, with the population cells they were fitted with.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing, common to all groups.
    population
        The fitted population. Its groups should tell apart whatever `group` tells apart: then
        the groups' means are taken out before the average item is, not by it.
    group
        ``(n_sessions,)`` group of each session from 0; below 0 where it isn't known.
    configuration
        Quadrature and scaling constant.
    n_groups
        Number of groups, the empty ones included; as many as occur if left out.
    reference
        The group that all others are compared with; the one with most answers if left out.
    free
        ``(n_items, 3)`` coordinates of φ that were estimated; all if left out. Saying that a
        Rasch item's slope was not makes its test more powerful.
    compared
        ``(n_items,)`` items to test; all if left out. Answers to the others tell of ability only.
    minimum_answers
        Answers that an item needs in both groups.

    Raises
    ------
    ValueError
        If `group` doesn't match the sessions, or names a group that isn't there.
    """
    numbers = np.ascontiguousarray(group, dtype=np.int64)
    occurring = int(numbers.max(initial=-1)) + 1
    n_groups = max(occurring, 1) if n_groups is None else n_groups
    if len(numbers) != data.n_sessions or not 0 < n_groups >= occurring:
        raise ValueError("group needs one number per session, each below the number of groups")
    if reference is not None and not 0 <= reference < n_groups:
        raise ValueError(f"there is no group {reference} to refer to")
    fitted = FittedAnswers(replace(data, label=numbers), parameters, population, configuration)
    sums = fitted.sums(range(n_groups))
    answers = np.stack([of_group.answers for of_group in sums])
    if reference is None:
        reference = int(answers.sum(axis=1).argmax())
    is_free = np.ones((data.n_items, 3), np.bool_) if free is None else free
    needed = np.full(data.n_items, float(minimum_answers))
    if compared is not None:
        needed[~compared] = np.inf
    contrasts = tuple(
        _refined_contrast(fitted, sums, focal, reference, is_free, needed)
        for focal in range(n_groups)
        if focal != reference
    )
    return DifferentialFunctioning(reference, answers, contrasts)


def _refined_contrast(
    fitted: FittedAnswers,
    sums: Sequence[GroupSums],
    focal: int,
    reference: int,
    free: BoolArray,
    minimum_answers: FloatArray,
) -> GroupContrast:
    """Test one focal group; then again with difficulties of its own for the items that differ."""
    contrast = contrast_groups(focal, sums[focal], sums[reference], free, minimum_answers)
    share = _share_of_focal(sums[focal], sums[reference])
    for _ in range(REFINEMENTS):
        applied = contrast.own_difficulties(DIFFERING_LEVEL)
        if not applied.any():
            break
        contrast = contrast_groups(
            focal,
            fitted.shifted_sums(focal, (1.0 - share) * applied),
            fitted.shifted_sums(reference, -share * applied),
            free,
            minimum_answers,
            applied,
        )
    return contrast


def _share_of_focal(focal: GroupSums, reference: GroupSums) -> FloatArray:
    """Part of the information on b that the focal group gives, ``(n_items,)``.

    The common difficulty lies that far from the reference group's towards the focal group's.
    """
    of_focal, of_reference = focal.information[:, 1, 1], reference.information[:, 1, 1]
    return np.asarray(of_focal / np.maximum(of_focal + of_reference, 1e-300))
