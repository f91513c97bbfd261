"""``calibrate fit``: one table of answers, no database."""

import time
from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import json_option, print_json, say
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.terminal_progress import terminal_progress
from calibration_pipeline.irt.model import FREE_COORDINATES
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.policy.configuration import CalibrationConfiguration
    from calibration_pipeline.policy.table_fit import TableFit
    from calibration_pipeline.policy.table_solution import TableFitOptions
    from calibration_pipeline.store.fit_inputs import FitInputs

_FILE = click.Path(path_type=Path)
_POSITIVE = click.FloatRange(min=0, min_open=True)
_STEPS = 3
_SHOWN = (
    "model", "log_likelihood", "aic", "bic", "n_parameters", "n_items", "n_persons",
    "n_responses", "iterations", "converged", "population_mean", "population_sd",
    "elapsed_seconds",
)  # fmt: skip


@click.command()
@click.argument("responses", type=_FILE)
@click.option(
    "--model", type=click.Choice(tuple(FREE_COORDINATES)), required=True, help="Of every item."
)
@click.option("--item-bank", type=_FILE, help="Known items: anchors, starts, authors' guesses.")
@click.option("--scale", help="Scale to fit, where the bank has several.")
@click.option("--no-priors", is_flag=True, help="Maximum likelihood, within the bounds.")
@click.option(
    "--population",
    type=click.Choice(("standard-normal", "estimated")),
    help="Of the abilities. [default: estimated with anchors, standard-normal without]",
)
@click.option("--out", type=_FILE, required=True, help="Folder to write to.")
@click.option("--force", is_flag=True, help="Replace an earlier fit in that folder.")
@click.option("--D", "scaling_constant", type=_POSITIVE, help="Scaling constant D of the model.")
@click.option("--tolerance", type=_POSITIVE, help="Largest change of a parameter at the end.")
@click.option(
    "--max-cycles", "maximum_cycles", type=click.IntRange(min=1), help="Limit of each phase of EM."
)
@click.option(
    "--standard-errors",
    type=click.Choice(("information", "oakes")),
    default="information",
    show_default=True,
    help="Oakes: of all parameters at once, for small tests.",
)
@json_option
def fit(
    responses: Path,
    model: str,
    item_bank: Path | None,
    scale: str | None,
    no_priors: bool,
    population: Any,
    out: Path,
    force: bool,
    standard_errors: Any,
    as_json: bool,
    **estimator: Any,
) -> None:
    """Fit the items of RESPONSES (CSV or Parquet); needs no database.

    RESPONSES has one row per answer, with the columns person_id, item_id and correct (0 or 1), and
    if wanted session_id: ability is constant in a session. OUT gets items.csv, abilities.csv and
    fit.json. The item bank is what `calibrate import-bank` reads.

    Example: calibrate fit responses.csv --model 2PL --out fitted
    """
    # Here, and not above: Numba takes longer to import than `--help` may.
    from calibration_pipeline.policy.table_solution import TableFitOptions
    from calibration_pipeline.store.fit_results import FitFiles

    started = time.monotonic()
    policy = load_settings().policy
    chosen = {name: value for name, value in estimator.items() if value is not None}
    try:
        configuration = replace(policy, em=replace(policy.em, **chosen))
    except ValueError as error:
        raise BadInputError(f"a setting of the estimator can't be used: {error}") from error
    options = TableFitOptions(model, population, not no_priors, standard_errors)
    files = FitFiles.in_folder(out, replace=force)
    with terminal_progress("Fitting", _STEPS) as reporter:
        reporter.describe(f"Reading {responses.name}")
        inputs = _read(responses, item_bank, model, scale)
        reporter.advance()
        reporter.describe("Fitting")
        fitted = _fit(inputs, options, configuration)
        reporter.advance()
        reporter.describe("Writing")
        document = _document(inputs, fitted, options, configuration)
        document["elapsed_seconds"] = round(time.monotonic() - started, 3)
        files.write(_item_columns(inputs, fitted), _ability_columns(inputs, fitted), document)
    _remark(inputs, fitted, options, configuration)
    if as_json:
        print_json(document)
    else:
        print_facts(f"Fitted {responses.name}", {name: document[name] for name in _SHOWN})
        say(f"Items, abilities and the whole of it: {out}")


def _read(responses: Path, bank: Path | None, model: str, scale: str | None) -> "FitInputs":
    from calibration_pipeline.store.fit_inputs import with_bank, without_bank
    from calibration_pipeline.store.response_table import read_response_table

    if bank is None:
        if scale is not None:
            raise click.UsageError("--scale chooses among the scales of --item-bank: add one")
        return without_bank(read_response_table(responses), model)
    return with_bank(read_response_table(responses), bank, model, scale)


def _fit(
    inputs: "FitInputs", options: "TableFitOptions", configuration: "CalibrationConfiguration"
) -> "TableFit":
    from calibration_pipeline.policy.table_fit import fit_table

    return fit_table(inputs.table.data, inputs.bank, inputs.is_anchor, options, configuration)


def _item_columns(inputs: "FitInputs", fitted: "TableFit") -> dict[str, Any]:
    names = ("discrimination", "difficulty", "guessing")
    values = dict(zip(names, fitted.parameters.T.tolist(), strict=True))
    errors = dict(
        zip((f"{name}_se" for name in names), fitted.standard_errors.T.tolist(), strict=True)
    )
    return {
        "item_id": inputs.table.item_ids,
        **values,
        **errors,
        "response_count": fitted.response_counts.tolist(),
        "infit_mnsq": fitted.infit.tolist(),
        "outfit_mnsq": fitted.outfit.tolist(),
        "flags": [";".join(flags) for flags in fitted.flags],
    }


def _ability_columns(inputs: "FitInputs", fitted: "TableFit") -> dict[str, Any]:
    offsets = inputs.table.data.session_offsets
    columns = {
        "person_id": inputs.table.person_ids.to_pylist(),
        "theta": fitted.theta.tolist(),
        "theta_se": fitted.theta_se.tolist(),
        "response_count": (offsets[1:] - offsets[:-1]).tolist(),
    }
    if inputs.table.session_ids is not None:
        columns["session_id"] = inputs.table.session_ids.to_pylist()
    return columns


def _document(
    inputs: "FitInputs",
    fitted: "TableFit",
    options: "TableFitOptions",
    configuration: "CalibrationConfiguration",
) -> dict[str, Any]:
    em, found = configuration.em, fitted.model_fit
    return {
        "model": options.model,
        "log_likelihood": found.log_likelihood,
        "aic": found.aic,
        "bic": found.bic,
        "n_items": inputs.bank.n_items,
        "n_persons": inputs.table.n_persons,
        "n_responses": inputs.table.data.n_responses,
        "iterations": fitted.cycles,
        "converged": fitted.converged,
        "elapsed_seconds": 0.0,
        "population_mean": fitted.population_mean,
        "population_sd": fitted.population_sd,
        "population_sd_se": fitted.population_sd_se,
        "n_parameters": found.n_parameters,
        "n_sessions": inputs.table.data.n_sessions,
        "n_anchors": int(inputs.is_anchor.sum()),
        "n_answers_left_out": inputs.answers_left_out,
        "scale": inputs.bank.scale_names[0],
        "scale_held_by": fitted.scale_held_by,
        "priors": fitted.prior_source,
        "standard_errors": options.standard_errors,
        "scaling_constant": em.scaling_constant,
        "tolerance": em.tolerance,
        "largest_change": fitted.largest_change,
        "flags": dict(Counter(flag for flags in fitted.flags for flag in flags)),
        "version": version("calibration-pipeline"),
    }


def _remark(
    inputs: "FitInputs",
    fitted: "TableFit",
    options: "TableFitOptions",
    configuration: "CalibrationConfiguration",
) -> None:
    """Say on stderr what somebody might otherwise take for granted."""
    anchors, held = int(inputs.is_anchor.sum()), fitted.scale_held_by == "anchors"
    if inputs.unknown_items and inputs.unknown_items < inputs.bank.n_items:
        say(f"Items with answers that the bank lacks, fitted without it: {inputs.unknown_items}.")
    if inputs.answers_left_out:
        say(f"Answers to items of other scales, left out: {inputs.answers_left_out:,}.")
    if anchors and not held:
        say(f"warning: none of the {anchors} anchors has answers: the population holds the scale")
    if held and options.population == "standard-normal":
        say(
            "warning: anchors and N(0, 1) both hold the scale, which is right only for persons "
            "like those on whom the anchors were calibrated"
        )
    if not fitted.converged:
        say(
            f"warning: not converged after {fitted.cycles} cycles (largest change "
            f"{fitted.largest_change:.4g}, tolerance {configuration.em.tolerance:g}): raise "
            "--max-cycles, or look for items that these answers can't determine"
        )
