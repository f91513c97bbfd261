import math

import pytest

from calibration_pipeline.reports.templating import counted, decimal_text, item_text, signed_text


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [
        (0.125, "0.12", "+0.12"),
        (-1.5, "−1.50", "−1.50"),
        (-0.001, "0.00", "0"),
        (0.0, "0.00", "0"),
        (10.0, "10.00", "+10.00"),
        (math.nan, "–", "–"),
        (-math.inf, "–", "–"),
    ],
)
def test_numbers(value: float, plain: str, signed: str) -> None:
    assert (decimal_text(value), signed_text(value)) == (plain, signed)


def test_nouns_and_items() -> None:
    assert [counted(n, "flag") for n in (0, 1, 1200)] == ["0 flags", "1 flag", "1,200 flags"]
    assert item_text(("i00042", 3)) == "i00042@3"
