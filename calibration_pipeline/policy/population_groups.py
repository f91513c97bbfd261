"""To which population group a session belongs, and with which known ability it started.

An engine starts candidates whom it knows from what it learned about them, all others from one and
the same ability, which says nothing. So three kinds are told apart: new candidates, returning ones
of whom the engine made nothing, and those with a known start, which alone have a covariate. The
second must not stand on the regression line of the third: they would seem to start from the middle.
"""

from collections.abc import Sequence

import numpy as np

from calibration_pipeline.irt.population import PopulationCells
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposures import is_returning
from calibration_pipeline.policy.gathering import GatheredAnswers
from calibration_pipeline.records import BoolArray, FloatArray, IntArray

EVERYBODY = ("all",)
"""Names of the groups where nothing tells candidates apart."""

_KINDS = ("new", "returning", "known start")
_COMMON_START_SHARE = 0.1
_COMMON_START_SESSIONS = 3
_COVARIATE_BOUND = 4.0
_COVARIATE_STEP = 1.0 / 64.0  # a power of 2: every bin is stated exactly


def common_start(starting_ability: FloatArray) -> float:
    """Ability that the engine starts new candidates from; NaN if none is common enough.

    It is the most frequent value, if a tenth of the sessions share it exactly.
    """
    known = starting_ability[np.isfinite(starting_ability)]
    values, counts = np.unique(known, return_counts=True)
    needed = max(_COMMON_START_SESSIONS, _COMMON_START_SHARE * len(known))
    if not len(values) or counts.max() < needed:
        return float("nan")
    return float(values[np.argmax(counts)])


def session_labels(
    answers: GatheredAnswers, start: float, configuration: CalibrationConfiguration
) -> tuple[IntArray, tuple[str, ...]]:
    """Label every session with its group, and with what is known about its candidate.

    A start is known if it differs from `start`, the common one; a candidate is returning after an
    earlier session. Where starting abilities are not used, a known start means returning.

    Returns
    -------
    tuple
        ``(n_sessions,)`` place of the label, and the labels, such as 'new' or 'north, returning'.
    """
    if not (configuration.use_population_groups or configuration.use_starting_ability):
        return np.zeros(len(answers.lengths), np.int64), EVERYBODY
    known = np.isfinite(answers.starting_ability) & (answers.starting_ability != start)
    kind = np.where(known, 2, is_returning(answers).astype(np.int64))
    if not configuration.use_starting_ability:
        kind = np.minimum(kind, 1)
    group = np.full(len(answers.lengths), -1)
    names: tuple[str, ...] = ()
    if configuration.use_population_groups:
        group, names = answers.population_group, answers.group_names
    labels = (*_KINDS, *(f"{name}, {suffix}" for name in names for suffix in _KINDS))
    return len(_KINDS) * (group + 1) + kind, labels


def choose_groups(label: IntArray, labels: Sequence[str], minimum_sessions: int) -> tuple[str, ...]:
    """Labels that are groups of their own, largest first; everybody is one where none is.

    Parameters
    ----------
    label
        ``(n_sessions,)`` of the sessions that count.
    labels
        Their names.
    minimum_sessions
        Smaller groups are merged into the largest.
    """
    counts = np.bincount(label, minlength=len(labels))
    by_size = sorted(range(len(labels)), key=lambda k: (-counts[k], labels[k]))
    chosen = [labels[k] for k in by_size if counts[k] >= minimum_sessions]
    if not chosen or (len(chosen) == 1 and not _has_known_start(chosen[0])):
        return EVERYBODY
    return tuple(chosen)


def assign_groups(label: IntArray, labels: Sequence[str], group_names: Sequence[str]) -> IntArray:
    """Give each session the place of its group in `group_names`.

    A session whose label is none of them goes to the first, and so the largest, of those that have
    a known start as it has, or lack one as it does; else to the first.
    """

    def place(name: str) -> int:
        alike = [g for g in group_names if _has_known_start(g) == _has_known_start(name)]
        best = name if name in group_names else (alike or group_names)[0]
        return group_names.index(best)

    return np.array([place(name) for name in labels], np.int64)[label]


def population_cells(
    group: IntArray,
    group_names: Sequence[str],
    starting_ability: FloatArray,
) -> PopulationCells | None:
    """Put sessions of one group that started alike into a cell; None if all would share one.

    Groups without known starts have no covariate. A session that was merged into a group with them,
    and whose start is missing, has their mean: there the regression line is best known.

    Parameters
    ----------
    group
        ``(n_sessions,)`` place in `group_names`.
    group_names
        The groups.
    starting_ability
        ``(n_sessions,)`` NaN where unknown.
    """
    covariate = np.zeros(len(group))
    for number, name in enumerate(group_names):
        rows = group == number
        if _has_known_start(name):
            covariate[rows] = _without_gaps(starting_ability[rows])
    step = np.rint(covariate / _COVARIATE_STEP).astype(np.int64)
    if len(group_names) == 1 and not step.any():
        return None
    last = int(_COVARIATE_BOUND / _COVARIATE_STEP)
    codes, cell = np.unique(group * (2 * last + 1) + step + last, return_inverse=True)
    return PopulationCells(
        cell=cell.astype(np.int32),
        group=codes // (2 * last + 1),
        covariate=(codes % (2 * last + 1) - last) * _COVARIATE_STEP,
    )


def _has_known_start(name: str) -> bool:
    return name.rpartition(", ")[2] == _KINDS[2]


def _without_gaps(values: FloatArray) -> FloatArray:
    """Clip what is known, and put the mean of it where nothing is."""
    clipped = np.clip(values, -_COVARIATE_BOUND, _COVARIATE_BOUND)
    known: BoolArray = np.isfinite(values)
    return np.where(known, clipped, clipped[known].mean() if known.any() else 0.0)
