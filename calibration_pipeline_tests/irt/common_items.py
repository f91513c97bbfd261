"""Items that two scales have in common: published ones, and draws with known errors."""

import numpy as np
import pandas as pd

from calibration_pipeline.irt.linking import LinkingConstants, transform_items
from calibration_pipeline.irt.model import FloatArray, from_internal, to_internal
from calibration_pipeline_tests.reference_data import reference_file


def kolen_brennan() -> tuple[FloatArray, FloatArray]:
    """Items 3, 6, …, 36 of Kolen and Brennan's forms X and Y."""
    forms = [pd.read_csv(reference_file(f"kb36_par_form{form}.csv")) for form in "XY"]
    new, reference = (form[["a", "b", "c"]].to_numpy()[2::3] for form in forms)
    return new, reference


def equateirt_pair(
    data: str, new: int, reference: int
) -> tuple[FloatArray, FloatArray, list[int], list[int]]:
    """Common items of two of equateIRT's forms, and their places in either form."""
    table = pd.read_csv(reference_file(f"equateIRT_{data}.csv"))
    forms = [table[table.form == form].reset_index(drop=True) for form in (new, reference)]
    names = [form.row.tolist() for form in forms]
    common = [name for name in names[0] if name in names[1]]
    places = [[own.index(name) for name in common] for own in names]
    parameters = [_parameters(form.iloc[place]) for form, place in zip(forms, places, strict=True)]
    return parameters[0], parameters[1], places[0], places[1]


def _parameters(rows: pd.DataFrame) -> FloatArray:
    """From (logit c,) intercept and slope, the last two of the columns."""
    values = rows.drop(columns=["form", "row"]).dropna(axis=1).to_numpy()
    guessing = 1.0 / (1.0 + np.exp(-values[:, 0])) if values.shape[1] == 3 else 0.0 * values[:, 0]
    return np.column_stack([values[:, -1], -values[:, -2] / values[:, -1], guessing])


def on_new_scale(reference: FloatArray, constants: LinkingConstants) -> FloatArray:
    """True values on the new scale, so that the constants bring them to the reference."""
    return transform_items(reference, constants.inverse())


def with_errors(
    truth: FloatArray, errors: FloatArray, generator: np.random.Generator
) -> FloatArray:
    """Estimates whose φ has independent normal errors of the given standard deviations."""
    internal = to_internal(truth) + errors * generator.normal(size=truth.shape)
    return from_internal(internal, truth[:, 2] > 0.0)
