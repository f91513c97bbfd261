"""Charts that Dagster's web interface shows without a click."""

import re
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import numpy as np
import pytest

from calibration_pipeline.reports.inline_charts import LONGEST, bars, curve, histogram

GENERATOR = np.random.default_rng(0)
CHARTS = {
    "histogram": histogram(GENERATOR.normal(size=2400), "difficulty"),
    "wide": histogram(GENERATOR.normal(scale=1e6, size=2400), "something with a long name"),
    "bars": bars(
        GENERATOR.integers(10_000, 9_000_000, 40).tolist(), ("01 Mar", "09 Apr"), "answers"
    ),
    "curve": curve(np.linspace(-4, 4, 33), GENERATOR.random(33) * 1e4, "information by ability"),
}


def drawn(markdown: str) -> tuple[str, ET.Element]:
    """Give a chart's text alternative and its parsed image."""
    found = re.fullmatch(r"!\[([^\]]+)\]\(data:image/svg\+xml,([^\s()<>\"]+)\)", markdown)
    assert found is not None
    return found[1], ET.fromstring(unquote(found[2]))  # noqa: S314 - our own


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_one_short_image_with_a_text_alternative(name: str) -> None:
    assert len(CHARTS[name]) < LONGEST
    alt, image = drawn(CHARTS[name])
    assert len(alt.split()) >= 4
    assert image.tag.endswith("svg")
    assert "script" not in CHARTS[name]


def test_a_histogram_says_its_range_and_ignores_what_is_not_finite() -> None:
    alt, _ = drawn(histogram(np.array([-1.0, 0.5, 0.7, 2.0, np.nan, np.inf]), "difficulty"))
    assert alt == "difficulty: 4 values from -1.0 to 2.0, median 0.6"


def test_the_highest_bar_reaches_the_top_and_an_empty_one_the_axis() -> None:
    _, image = drawn(bars([0, 50, 100], ("a", "b"), "answers"))
    outline = next(e.attrib["d"] for e in image.iter() if e.attrib.get("fill") == "#1f5f8b")
    assert re.findall(r"V(\d+)h104", outline) == ["82", "44", "6"]


def test_a_curve_has_its_peak_where_it_is() -> None:
    x = np.linspace(-4, 4, 33)
    alt, image = drawn(curve(x, np.exp(-((x - 1) ** 2)) * 40, "information"))
    assert alt == "information, highest 40 at 1.0"
    points = next(e.attrib["points"] for e in image.iter() if "points" in e.attrib).split()
    assert min(points, key=lambda p: int(p.split(",")[1])).startswith("200,")


def test_nothing_to_draw_is_said_in_words() -> None:
    assert histogram(np.array([np.nan]), "difficulty") == "No difficulty."
    assert histogram(np.full(3, 0.5), "difficulty") == "3 × 0.5: difficulty."
    assert bars([0, 0], ("a", "b"), "answers") == "No answers."
    assert curve(np.array([0.0, 1.0]), np.zeros(2), "information") == "No information."
