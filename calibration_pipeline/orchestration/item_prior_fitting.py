"""Fitting the priors of new items: read, learn, judge, store. The command and Dagster do just this.

Importing this imports neither Dagster nor PyTorch.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from calibration_pipeline.bayes.availability import missing_extra
from calibration_pipeline.errors import ItemPriorError
from calibration_pipeline.irt.item_hierarchy import HierarchyDraws, predict_items
from calibration_pipeline.irt.prior_calibration import PriorCalibration, judge_calibration
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.item_priors import Teachers, find_teachers, reasons_against
from calibration_pipeline.records import ItemBank, ItemPriorFit, ScaleItemPriors
from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline.store.bank import read_bank
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.history import newest_accepted_key
from calibration_pipeline.store.item_priors import store_item_priors
from calibration_pipeline.store.states import read_state
from calibration_pipeline.store.telling import Tell, tell_nobody


@dataclass(frozen=True)
class NewItemPriors:
    """What a fit found, and whether it is a new version or the same as the newest one."""

    fit: ItemPriorFit
    is_new: bool


def fit_item_priors(
    database: Database,
    configuration: CalibrationConfiguration,
    *,
    fitted_by: str,
    as_of: date | None = None,
    keep: bool = True,
    tell: Tell = tell_nobody,
) -> NewItemPriors:
    """Learn priors from the newest accepted night and store them, usable or not.

    The night's own day is the seed, so that the same night teaches the same.

    Parameters
    ----------
    fitted_by
        Who, or what started it.
    as_of
        Take the newest accepted night up to that one, instead of the newest of all.
    keep
        Store them; otherwise nothing is written.
    tell
        Told which scale's priors are being learned.

    Raises
    ------
    ItemPriorError
        The extra `bayes` is missing, no night has been accepted, or no scale has enough items to
        learn from.
    """
    if missing := missing_extra("torch", "pyro"):
        raise ItemPriorError(f"priors of new items can't be fitted: {missing}")
    key = newest_accepted_key(database, as_of + timedelta(days=1) if as_of else date.max)
    state = read_state(database, *key) if key else None
    if state is None:
        raise ItemPriorError(
            "no night has been accepted: priors are learned from calibrated nights, so run "
            "`calibrate night` first"
        )
    night, settings = state.partition, configuration.item_priors
    bank, anchors = read_bank(database, night), read_anchor_set(database, night)
    seed = night.toordinal()
    scales, few = [], []
    for number, name in enumerate(bank.scale_names):
        tell(f"Learning from the items of scale {name}", number, len(bank.scale_names))
        teachers = find_teachers(state, bank, anchors, number, settings)
        count = int(teachers.teaches.sum())
        if count < settings.minimum_teachers:
            few.append(f"{name} has {count}")
        else:
            scales.append(_learn(name, teachers, bank, seed))
    if not scales:
        raise ItemPriorError(
            f"no scale has {settings.minimum_teachers} items to learn from ({', '.join(few)}): "
            f"they need {settings.teaching_responses} answers each, or to be anchors; wait for "
            "more answers"
        )
    reasons = [r for s in scales for r in reasons_against(s.scale, s.diagnostics, settings)]
    fit = ItemPriorFit(
        state=(night, state.attempt),
        effective_from=night + timedelta(days=1),
        is_accepted=not reasons,
        reasons=tuple(reasons),
        scales=tuple(scales),
        seed=seed,
        settings=asdict(settings),
        digest=_digest(state.digest, scales, reasons, asdict(settings)),
    )
    if not keep:
        return NewItemPriors(fit, is_new=False)
    number, is_new = store_item_priors(database, fit, fitted_by=fitted_by)
    return NewItemPriors(fit.stored_as(number), is_new)


def _learn(name: str, teachers: Teachers, bank: ItemBank, seed: int) -> ScaleItemPriors:
    # Here, and not above: PyTorch takes seconds to import, and what calls this may not need it.
    from calibration_pipeline.bayes.item_priors import fit_hierarchy

    teaching = teachers.features.of_items(teachers.teaches)
    found = fit_hierarchy(teachers.summaries, teaching, len(teachers.families), seed=seed)
    taught = predict_items(found.draws, teaching, found.own)
    everybody = predict_items(found.draws, teachers.features)
    everybody.mean[teachers.teaches] = taught.mean
    everybody.covariance[teachers.teaches] = taught.covariance
    calibration = judge_calibration(teachers.summaries, taught)
    new = judge_calibration(teachers.witnessed, everybody.of_items(teachers.witnesses))
    diagnostics = {
        "pareto_k": found.pareto_k,
        "effective_draws": found.effective_size,
        "gradient_norm": found.gradient_norm,
        **_stated(calibration),
        "new_items": _stated(new),
        **_summary(found.draws),
        "teachers": int(teachers.teaches.sum()),
        "items": len(teachers.rows),
        "families": len(teachers.families),
    }
    return ScaleItemPriors(
        scale=name,
        families=teachers.families,
        draws={key: np.asarray(value) for key, value in vars(found.draws).items()},
        keys=tuple(bank.keys[row] for row in teachers.rows),
        mean=everybody.mean,
        covariance=everybody.covariance,
        teaches=teachers.teaches,
        diagnostics=diagnostics,
    )


def _stated(calibration: PriorCalibration) -> dict[str, list[float | None]]:
    """State the calibration as JSON has it, which knows no NaN."""
    return {
        name: [None if np.isnan(number) else number for number in values.tolist()]
        for name, values in vars(calibration).items()
    }


def _summary(draws: HierarchyDraws) -> dict[str, Any]:
    """Mean and standard deviation of each hyperparameter over its draws."""

    def of(values: np.ndarray) -> dict[str, Any]:
        return {"mean": values.mean(axis=0).tolist(), "sd": values.std(axis=0).tolist()}

    author = draws.author
    return {
        "mean": of(draws.mean),
        "option_slope": of(draws.option_slope),
        "residual_sd": of(np.sqrt(np.diagonal(draws.residual, axis1=1, axis2=2))),
        "family_sd": of(np.sqrt(np.diagonal(draws.between, axis1=1, axis2=2))),
        "author_bias": of(author[:, 0]),
        "author_scale": of(author[:, 1]),
        "author_error_sd": of(author[:, 2]),
    }


def _digest(
    state: str, scales: list[ScaleItemPriors], reasons: list[str], settings: Mapping[str, Any]
) -> str:
    parts: list[Any] = [state, reasons, json.dumps(settings, sort_keys=True)]
    for scale in scales:
        parts += [scale.scale, scale.families, scale.keys, scale.mean, scale.covariance]
        parts += [scale.teaches, *(scale.draws[name] for name in sorted(scale.draws))]
    return digest_of(*parts)
