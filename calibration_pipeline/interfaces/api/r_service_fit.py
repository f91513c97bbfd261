"""A request of the R service's callers, from its bytes to the answer's: runs in a worker process.

Reading fifty thousand observations takes as long as fitting them on some machines, so that both are
done here and not where readers are served.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numba
import numpy as np
from pydantic import ValidationError
from pydantic_core import to_json

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.api.r_service_schemas import (
    MOST_OBSERVATIONS,
    CalibrationRequest,
    Observation,
    TooManyObservationsError,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.table_fit import TableFit, fit_table
from calibration_pipeline.policy.table_solution import TableFitOptions
from calibration_pipeline.store.fit_inputs import FitInputs, without_bank
from calibration_pipeline.store.response_table import response_table_of

VERSION: Final = "v1"
"""Of what the fields mean: callers keep their rows by item, model and version."""
_NAMES: Final = {"1PL": ("a", "b"), "2PL": ("a", "b"), "3PL": ("a", "b", "c")}


@dataclass(frozen=True)
class _Answers:
    """Answers that count, one entry each, and how many were left out."""

    user_ids: list[str]
    item_ids: list[str]
    correct: list[bool | int]
    repeated: int


def prepare() -> None:
    """Load what is compiled, by small fits: the first caller shouldn't wait for that.

    From then on this process calculates on one thread. Loops of milliseconds gain nothing from
    more, which would wait for each other in the cores that readers need: measured with 50,000
    observations on two cores, a second thread doubles the processor's time.
    """
    numba.set_num_threads(1)
    rng = np.random.default_rng(1)
    right = rng.random((40, 4)) < 0.6
    observations = [
        {"user_id": str(p), "item_id": str(j), "is_correct": bool(right[p, j])}
        for p, j in np.ndindex(right.shape)
    ]
    for model in _NAMES:
        body = to_json({"observations": observations, "model": model})
        calibrate(body, CalibrationConfiguration())


def calibrate(body: bytes, policy: CalibrationConfiguration) -> bytes:
    """Fit what a request asks for.

    Parameters
    ----------
    body
        JSON of a `CalibrationRequest`.
    policy
        The estimator's settings and the thresholds of flags; D is 1 whatever they say.

    Returns
    -------
    bytes
        JSON of a `CalibrationResult`.

    Raises
    ------
    BadInputError
        The body can't be read, or nothing can be estimated from it.
    TooManyObservationsError
        It has more than `MOST_OBSERVATIONS`.
    """
    started = time.perf_counter()
    request = read_request(body)
    answers = _answers_that_count(request.observations)
    _require_estimable(answers)
    table = response_table_of("observations", answers.user_ids, answers.item_ids, answers.correct)
    inputs = without_bank(table, request.model)
    fitted = fit_table(
        table.data,
        inputs.bank,
        inputs.is_anchor,
        TableFitOptions(request.model, None, request.priors),
        replace(policy, em=replace(policy.em, scaling_constant=1.0)),
    )
    fit_meta = _fit_meta(request.model, inputs, fitted, answers.repeated)
    fit_meta["metrics"]["elapsed_seconds"] = round(time.perf_counter() - started, 3)
    result = {
        "item_params": _item_params(request.model, inputs, fitted),
        "abilities": _abilities(request.model, inputs, fitted),
        "fit_meta": fit_meta,
    }
    return to_json(result, inf_nan_mode="null")


def read_request(body: bytes) -> CalibrationRequest:
    """Read and check a request; the first thing that is wrong ends it.

    Raises
    ------
    BadInputError
        Names the field, and the number of the observation, from 0.
    """
    try:
        request = CalibrationRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise BadInputError(f"{place}: {first['msg']}") from None
    if len(request.observations) > MOST_OBSERVATIONS:
        raise TooManyObservationsError(
            f"{len(request.observations):,} observations are more than the {MOST_OBSERVATIONS:,} "
            "that a request may have: send those of fewer days, or use `calibrate fit`"
        )
    return request


def _answers_that_count(observations: Sequence[Observation]) -> _Answers:
    pairs = [(each["user_id"], each["item_id"]) for each in observations]
    counted: Sequence[Observation] = observations
    if len(set(pairs)) < len(pairs):
        counted = _first_answers(observations)
    return _Answers(
        [each["user_id"] for each in counted],
        [each["item_id"] for each in counted],
        [each["is_correct"] for each in counted],
        len(observations) - len(counted),
    )


def _first_answers(observations: Sequence[Observation]) -> list[Observation]:
    """Keep each person's first answer to an item: later ones were given from memory.

    Raises
    ------
    BadInputError
        Which of two came first can't be told.
    """
    kept: dict[tuple[str, str], Observation] = {}
    for row, each in enumerate(observations):
        pair = each["user_id"], each["item_id"]
        earlier = kept.setdefault(pair, each)
        if earlier is each:
            continue
        now, before = _moment(each), _moment(earlier)
        if now is None or before is None or now == before:
            if bool(each["is_correct"]) == bool(earlier["is_correct"]):
                # Whichever was first. Without its time, nothing else can be told from it either.
                kept[pair] = each if now is None else earlier
                continue
            raise BadInputError(
                f"observations.{row}: the same person has given this item another answer, and "
                "which of the two was first can't be told: give both their responded_at, or leave "
                "one out"
            )
        if now < before:
            kept[pair] = each
    return list(kept.values())


def _moment(observation: Observation) -> datetime | None:
    moment = observation.get("responded_at")
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _require_estimable(answers: _Answers) -> None:
    users, items = set(answers.user_ids), set(answers.item_ids)
    for count, name in ((len(users), "person"), (len(items), "item")):
        if count < 2:
            raise BadInputError(
                f"observations: they are of 1 {name}, and nothing can be estimated from fewer "
                f"than 2: send more"
            )
    if len(answers.user_ids) == len(users):
        raise BadInputError(
            "observations: nobody has answered two items, so that items can't be compared: send "
            "all answers of a person"
        )
    if len(set(map(bool, answers.correct))) == 1:
        kind = "right" if answers.correct[0] else "wrong"
        raise BadInputError(
            f"observations: every answer is {kind}, so that nothing can be estimated: send others "
            "as well"
        )


def _item_params(model: str, inputs: FitInputs, fitted: TableFit) -> list[dict[str, Any]]:
    names = _NAMES[model]
    rows = zip(
        inputs.table.item_ids,
        fitted.parameters.tolist(),
        fitted.standard_errors.tolist(),
        fitted.response_counts.tolist(),
        fitted.flags,
        strict=True,
    )
    return [
        {
            "item_id": item_id,
            "model": model,
            "params": dict(zip(names, values, strict=False)),  # without guessing unless a 3PL
            "version": VERSION,
            "se": dict(zip(names, errors, strict=False)),
            "response_count": count,
            "flags": flags,
        }
        for item_id, values, errors, count, flags in rows
    ]


def _abilities(model: str, inputs: FitInputs, fitted: TableFit) -> list[dict[str, Any]]:
    rows = zip(
        inputs.table.person_ids.to_pylist(),
        fitted.theta.tolist(),
        fitted.theta_se.tolist(),
        strict=True,
    )
    return [
        {"user_id": user_id, "theta": theta, "se": se, "model": model, "version": VERSION}
        for user_id, theta, se in rows
    ]


def _fit_meta(model: str, inputs: FitInputs, fitted: TableFit, repeated: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    found = fitted.model_fit
    return {
        "run_id": f"fit-{now}Z",
        "model_spec": {
            "model": model,
            "n_items": inputs.bank.n_items,
            "n_users": inputs.table.n_persons,
            "n_observations": inputs.table.data.n_responses,
            "n_repeated": repeated,
            "priors": fitted.prior_source,
            "scaling_constant": 1.0,
        },
        "metrics": {
            "logLik": found.log_likelihood,
            "AIC": found.aic,
            "BIC": found.bic,
            "n_parameters": found.n_parameters,
            "iterations": fitted.cycles,
            "converged": fitted.converged,
        },
    }
