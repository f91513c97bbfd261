"""What a single fit estimates, and what is refused."""

import numpy as np
import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.policy.table_solution import TableFitOptions, prepare
from calibration_pipeline_tests.policy.table_cases import SETTINGS, simulated
from calibration_pipeline_tests.simulated import make_bank


def task(model, population=None, slopes=(1.0, 1.0), anchors=()):
    parameters = np.tile([1.0, 0.0, 0.0], (4, 1))
    parameters[:2, 0] = slopes
    _, data = simulated(4, 10)
    is_anchor = np.isin(np.arange(4), anchors)
    bank = make_bank(4, parameters=parameters)
    return prepare(data, bank, is_anchor, TableFitOptions(model, population), SETTINGS)


@pytest.mark.parametrize(
    ("model", "population", "anchors", "expected"),
    [
        ("Rasch", None, (), (False, True)),
        ("Rasch", "estimated", (), (False, True)),
        ("Rasch", "standard-normal", (), (False, False)),
        ("1PL", None, (), (False, True)),
        ("2PL", None, (), (False, False)),
        ("2PL", None, (0,), (True, True)),
        ("3PL", "estimated", (0,), (True, True)),
        ("3PL", "standard-normal", (0,), (False, False)),
    ],
)
def test_what_holds_the_scale_says_what_of_the_population_is_estimated(
    model, population, anchors, expected
):
    found = task(model, population, anchors=anchors).population
    assert (found.mean_is_estimated, found.sd_is_estimated) == expected


@pytest.mark.parametrize("model", ["1PL", "2PL", "3PL"])
def test_a_population_that_nothing_holds_is_refused(model):
    with pytest.raises(BadInputError, match="nothing would hold the scale"):
        task(model, "estimated")


def test_a_common_slope_is_that_of_the_anchors():
    assert task("1PL", slopes=(1.3, 1.3), anchors=(0, 1)).slope == 1.3
    assert not task("1PL", slopes=(1.3, 1.3), anchors=(0, 1)).standardises
    with pytest.raises(BadInputError, match=r"several \(1.1 to 1.3\): use --model 2PL"):
        task("1PL", slopes=(1.3, 1.1), anchors=(0, 1))
    assert task("Rasch", slopes=(1.3, 1.1), anchors=(0, 1)).slope == 1.0
