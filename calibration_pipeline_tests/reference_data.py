"""Where the published data sets lie, and how to read them.

They stand beside the project and aren't part of it: their licences differ. Tests that need one
skip, saying so, where the folder is absent.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.irt.responses import ResponseData

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def reference_file(name: str) -> Path:
    """Path of a reference file; skips the running test where it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"reference data are not here: no {path}")
    return path


def read_responses(name: str) -> ResponseData:
    """Read ``person_id,item_id,correct`` rows; items in order of first appearance."""
    table = pd.read_csv(reference_file(name))
    item, _ = pd.factorize(table["item_id"])
    return ResponseData.from_long(
        table["person_id"].to_numpy(), np.asarray(item), table["correct"].to_numpy()
    )
