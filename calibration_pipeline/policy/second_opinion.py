"""A sample of the night for py-irt, and what its answer says of ours."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.cross_check_configuration import SecondOpinionConfiguration
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.policy.prepared_night import prepare_night
from calibration_pipeline.records import CalibrationState, IntArray, ItemKey

_HIGHEST_GUESSING = 0.45
"""Where guessing alone would nearly be half of the answers, no ability has half of them right."""


@dataclass(frozen=True)
class Agreement:
    """How well two calibrations of the same items agree, by one linear change of scale.

    Attributes
    ----------
    items
        ``(n,)`` numbers of the items compared.
    answers
        ``(n,)`` their answers in the sample.
    ours
        ``(n,)`` the ability at which half of the answers are right, by our parameters.
    theirs
        ``(n,)`` the other difficulties, on our scale.
    slope, intercept
        theirs = slope · (other difficulty) + intercept.
    correlation, rank_correlation
        Pearson's and Spearman's, of the difficulties.
    discrimination_rank_correlation
        Spearman's, of the discriminations.
    """

    items: IntArray
    answers: IntArray
    ours: FloatArray
    theirs: FloatArray
    slope: float
    intercept: float
    correlation: float
    rank_correlation: float
    discrimination_rank_correlation: float

    @property
    def difference(self) -> FloatArray:
        """Their difficulties less ours, ``(n,)``."""
        return self.theirs - self.ours


@dataclass(frozen=True)
class SampledScale:
    """A sample of one scale's answers, and what a night made of its items.

    Attributes
    ----------
    keys
        The items, as they are numbered in `data`.
    parameters
        ``(n_items, 3)`` of the night.
    data
        The sample.
    """

    keys: tuple[ItemKey, ...]
    parameters: FloatArray
    data: ResponseData

    def why_too_small(self, settings: SecondOpinionConfiguration) -> str:
        """Say why the sample can't be compared; an empty string if it can."""
        if int((self.data.item_counts >= settings.least_answers).sum()) >= settings.least_items:
            return ""
        return (
            f"fewer than {settings.least_items} items have {settings.least_answers} answers in the "
            "sample"
        )

    def agreement(
        self,
        discrimination: FloatArray,
        difficulty: FloatArray,
        configuration: CalibrationConfiguration,
    ) -> Agreement | None:
        """Compare another calibration of the sample with the night's; see `agreement`."""
        return agreement(
            self.data,
            self.parameters,
            discrimination,
            difficulty,
            configuration.second_opinion,
            configuration.em.scaling_constant,
        )


def ask_about(
    state: CalibrationState, inputs: NightInputs, configuration: CalibrationConfiguration, seed: int
) -> SampledScale | None:
    """Sample the answers of the scale that has most of them; None if no scale was fitted.

    A candidate's later answers to an item are left out, as they are in a fit.

    Parameters
    ----------
    state
        The night's accepted state.
    inputs
        What it was computed from.
    configuration
        The settings.
    seed
        Of the sample.
    """
    fitted = [number for number, scale in enumerate(state.scales) if scale.fitted]
    if not fitted:
        return None
    prepared = prepare_night(inputs, configuration)
    number = max(fitted, key=lambda scale: prepared.answers[scale].data.n_responses)
    rows = np.flatnonzero(inputs.bank.scale_index == number)
    data = prepared.answers[number].data
    data = data.of_items(np.arange(data.n_items) < len(rows))
    return SampledScale(
        tuple(state.keys[j] for j in rows),
        state.parameters[rows],
        sampled_sessions(data, configuration.second_opinion, seed),
    )


def sampled_sessions(
    data: ResponseData, settings: SecondOpinionConfiguration, seed: int
) -> ResponseData:
    """Draw whole sessions until they hold as many answers as are wanted."""
    order = np.random.default_rng(seed).permutation(data.n_sessions)
    total = np.cumsum(np.diff(data.session_offsets)[order])
    n_sessions = int(np.searchsorted(total, settings.answers, side="right"))
    return data.of_sessions(np.sort(order[: max(n_sessions, 1)]))


def halfway_difficulty(parameters: FloatArray, scaling_constant: float) -> FloatArray:
    """Ability at which half of the answers are right, ``(n_items,)``: what a 2PL calls b.

    Parameters
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    scaling_constant
        D.
    """
    a, b, c = np.asarray(parameters, float).T
    low = np.minimum(c, _HIGHEST_GUESSING)
    return np.asarray(b + np.log((0.5 - low) / 0.5) / (scaling_constant * a))


def agreement(
    data: ResponseData,
    parameters: FloatArray,
    discrimination: FloatArray,
    difficulty: FloatArray,
    settings: SecondOpinionConfiguration,
    scaling_constant: float,
) -> Agreement | None:
    """Compare another 2PL calibration with ours; None where too few items can be.

    Its scale is its own. The one that brings it to ours has the mean and the spread of the common
    difficulties alike (mean/sigma).

    Parameters
    ----------
    data
        The sample that was calibrated.
    parameters
        ``(n_items, 3)`` ours.
    discrimination, difficulty
        ``(n_items,)`` the other's.
    settings
        Which items are compared.
    scaling_constant
        D of ours.
    """
    from scipy.stats import pearsonr, spearmanr  # half a second that most commands don't need

    answers = data.item_counts
    compared = (answers >= settings.least_answers) & np.isfinite(difficulty)
    items = np.flatnonzero(compared)
    if len(items) < settings.least_items:
        return None
    ours, other = halfway_difficulty(parameters[items], scaling_constant), difficulty[items]
    if not (np.ptp(ours) > 0 and np.ptp(other) > 0):
        return None
    slope = float(ours.std() / other.std())
    intercept = float(ours.mean() - slope * other.mean())
    slopes = parameters[items, 0], discrimination[items]
    vary = all(np.ptp(values) > 0 for values in slopes)
    return Agreement(
        items=items,
        answers=answers[items],
        ours=ours,
        theirs=slope * other + intercept,
        slope=slope,
        intercept=intercept,
        correlation=float(pearsonr(ours, other).statistic),
        rank_correlation=float(spearmanr(ours, other).statistic),
        discrimination_rank_correlation=(
            float(spearmanr(*slopes).statistic) if vary else float("nan")
        ),
    )


def agrees(found: Agreement, settings: SecondOpinionConfiguration) -> bool:
    """Whether both correlations are high enough."""
    return (
        found.correlation >= settings.least_correlation
        and found.rank_correlation >= settings.least_rank_correlation
    )
