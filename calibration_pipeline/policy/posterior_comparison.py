"""The Gaussian that goes from night to night, held against draws from the exact posterior."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.policy.cross_check_configuration import AuditConfiguration
from calibration_pipeline.policy.posterior_audit import AuditedItem
from calibration_pipeline.records import FloatArray, ItemKey

COORDINATES = ("log a", "b", "logit c")
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class PosteriorComparison:
    """One item's Gaussian and its exact posterior. Arrays have a place per coordinate of φ.

    What isn't free has shifts of 0 and a ratio of 1. The uncertainty that all items share is in the
    Gaussian by intent, and is no part of one item's posterior: it is added to the latter.

    Attributes
    ----------
    key, is_flagged, n_answers
        The item, whether it was audited for its flag, and its answers in the window.
    mean, sd
        ``(3,)`` of the Gaussian.
    exact_mean, exact_sd
        ``(3,)`` of the exact posterior.
    mean_shift
        ``(3,)`` Gaussian less exact mean, in exact standard deviations.
    sd_ratio
        ``(3,)`` Gaussian over exact standard deviation.
    interval_shift
        ``(2, 3)`` Gaussian less exact end of the 95% interval, lower and upper, in the same unit.
    r_hat, effective_draws
        ``(3,)`` how well the sampler did.
    reasons
        Why the approximation is poor; empty where it isn't, or where it can't be judged.
    is_judged
        Whether the sampler did well enough.
    """

    key: ItemKey
    is_flagged: bool
    n_answers: int
    mean: FloatArray
    sd: FloatArray
    exact_mean: FloatArray
    exact_sd: FloatArray
    mean_shift: FloatArray
    sd_ratio: FloatArray
    interval_shift: FloatArray
    r_hat: FloatArray
    effective_draws: FloatArray
    reasons: tuple[str, ...]
    is_judged: bool

    @property
    def is_poor(self) -> bool:
        """Whether the Gaussian misses the posterior by more than the settings allow."""
        return bool(self.reasons)

    @property
    def worst(self) -> float:
        """Largest distance of an end of an interval, in posterior standard deviations."""
        return float(np.abs(self.interval_shift).max())


def compare_posterior(
    item: AuditedItem,
    draws: FloatArray,
    r_hat: FloatArray,
    effective_draws: FloatArray,
    settings: AuditConfiguration,
) -> PosteriorComparison:
    """Hold an item's Gaussian against draws from its exact posterior.

    Parameters
    ----------
    item
        The item.
    draws
        ``(n_chains, n_draws, 3)`` of φ.
    r_hat, effective_draws
        ``(3,)`` of the draws.
    settings
        Thresholds.
    """
    free = item.posterior.free
    flat = draws.reshape(-1, 3)
    exact_mean = np.where(free, flat.mean(axis=0), item.mean)
    spread = flat.std(axis=0, ddof=1)
    shared = np.maximum(np.diagonal(item.covariance) - np.diagonal(item.own_covariance), 0.0)
    exact_sd, sd = np.sqrt(spread**2 + shared), np.sqrt(np.diagonal(item.covariance))
    unit = np.where(free, exact_sd, 1.0)
    # Widened around their mean to hold the shared part as well: their shape stays.
    wider = exact_mean + (flat - exact_mean) * np.where(free, unit / np.where(free, spread, 1), 0)
    exact_ends = np.quantile(wider, [0.025, 0.975], axis=0)
    ends = item.mean + _NORMAL_95 * sd * np.array([[-1.0], [1.0]])
    is_judged = bool(
        (r_hat <= settings.maximum_r_hat).all()
        and (effective_draws >= settings.least_effective_draws).all()
    )
    shifts = (
        np.where(free, (item.mean - exact_mean) / unit, 0.0),
        np.where(free, sd / unit, 1.0),
        np.where(free, (ends - exact_ends) / unit, 0.0),
    )
    return PosteriorComparison(
        key=item.key,
        is_flagged=item.is_flagged,
        n_answers=item.posterior.evidence.n_answers,
        mean=item.mean,
        sd=sd,
        exact_mean=exact_mean,
        exact_sd=np.where(free, exact_sd, 0.0),
        mean_shift=shifts[0],
        sd_ratio=shifts[1],
        interval_shift=shifts[2],
        r_hat=r_hat,
        effective_draws=effective_draws,
        reasons=_reasons(*shifts, settings) if is_judged else (),
        is_judged=is_judged,
    )


def _reasons(
    mean_shift: FloatArray,
    sd_ratio: FloatArray,
    interval_shift: FloatArray,
    settings: AuditConfiguration,
) -> tuple[str, ...]:
    low, high = settings.sd_ratio_range
    found = []
    for k, name in enumerate(COORDINATES):
        if abs(mean_shift[k]) > settings.maximum_mean_shift:
            found.append(f"mean of {name} off by {mean_shift[k]:+.2f} sd")
        if not low <= sd_ratio[k] <= high:
            found.append(f"sd of {name} is {sd_ratio[k]:.2f} of the exact one")
        worst = interval_shift[np.abs(interval_shift[:, k]).argmax(), k]
        if abs(worst) > settings.maximum_interval_shift:
            found.append(f"interval of {name} off by {worst:+.2f} sd")
    return tuple(found)


@dataclass(frozen=True)
class AuditVerdict:
    """What an audit says of the night.

    Attributes
    ----------
    passed
        The sampler did its work, and few enough of the sampled items are poor.
    poor_share
        Share of the judged items of the random sample that are poor; NaN if none was judged.
    detail
        The same in words.
    """

    passed: bool
    poor_share: float
    detail: str


def judge_audit(
    compared: Sequence[PosteriorComparison], settings: AuditConfiguration
) -> AuditVerdict:
    """Judge a night's audit: by its random sample, or by all where everything is flagged.

    One without an item passes: a small programme is not warned every night of nothing.
    """
    if not compared:
        few = "too few to judge: no item had enough answers to be audited"
        return AuditVerdict(True, float("nan"), few)
    sample = [item for item in compared if not item.is_flagged] or list(compared)
    judged = [item for item in sample if item.is_judged]
    poor = sum(item.is_poor for item in judged)
    unjudged = sum(not item.is_judged for item in compared)
    share = poor / len(judged) if judged else float("nan")
    detail = f"{poor} of {len(judged)} sampled items are poorly approximated"
    if unjudged:
        detail += f"; {unjudged} could not be judged (raise warmup or draws)"
    few_unjudged = unjudged <= settings.maximum_poor_share * len(compared)
    passed = bool(judged) and share <= settings.maximum_poor_share and few_unjudged
    return AuditVerdict(passed, share, detail)
