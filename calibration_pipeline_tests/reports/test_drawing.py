"""Pictures that lie in a page: the same every time, without names of their own, in its colours."""

import re
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from calibration_pipeline.reports.charts import Chart, Pencil
from calibration_pipeline.reports.drawing import MARK, date_axis, name_axes, svg_image

CHART = Chart("c", "Title", "Said.", ("A", "B"), (("1", "2"),))


def paint(axes: Sequence[Any]) -> None:
    axes[0].plot([0.0, 1.0], [0.0, 2.0], "-o", color=MARK, label="a line")
    name_axes(axes[0], "across", "up & <away>")


def texts(svg: str) -> list[str]:
    image = ElementTree.fromstring(svg)  # noqa: S314 - our own
    return ["".join(text.itertext()) for text in image.iter("{http://www.w3.org/2000/svg}text")]


def test_text_stays_text_and_can_not_leave_the_picture() -> None:
    assert {"across", "up & <away>", "a line"} <= set(texts(svg_image("c", paint)))


def test_text_is_never_a_formula() -> None:
    def dollars(axes: Sequence[Any]) -> None:
        name_axes(axes[0], "$x^{", "50$ or 60$")

    assert {"$x^{", "50$ or 60$"} <= set(texts(svg_image("c", dollars)))


def test_the_same_figures_give_the_same_text() -> None:
    assert svg_image("c", paint) == svg_image("c", paint)


def test_nothing_in_it_is_of_a_file_or_from_elsewhere() -> None:
    svg = svg_image("c", paint)
    assert svg.startswith("<svg ")
    for foreign in ("<!DOCTYPE", "<?xml", "<metadata", "<style", "font-family", "DejaVu"):
        assert foreign not in svg
    assert set(re.findall(r"https?://[^\"]*", svg)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_two_pictures_of_a_page_share_no_identifier() -> None:
    first, second = (re.findall(r'id="([^"]+)"', svg_image(name, paint)) for name in "ab")
    assert first
    assert not set(first) & set(second)
    referred = re.findall(r'(?:href="#|url\(#)([^")]+)', svg_image("a", paint))
    assert set(referred) == set(first)


def test_colours_are_the_page_s() -> None:
    svg = svg_image("c", paint)
    assert "var(--mark)" in svg
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)


def test_nights_are_labelled_up_to_the_newest_one() -> None:
    nights = [date(2026, 1, 1) + timedelta(days=n) for n in range(35)]

    def many(axes: Sequence[Any]) -> None:
        assert date_axis(axes[0], nights) == [night.toordinal() for night in nights]

    labels = [text for text in texts(svg_image("c", many)) if re.fullmatch(r"\d\d-\d\d", text)]
    assert labels[-1] == "02-04"
    assert len(labels) <= 4


def test_a_picture_that_fails_leaves_its_figures() -> None:
    def broken(axes: Sequence[Any]) -> None:
        raise ValueError("no room\nfor more")

    chart = Pencil().drawn(CHART, broken)
    assert (chart.svg, chart.trouble, chart.rows) == ("", "ValueError: no room", CHART.rows)


def test_a_missing_library_is_a_trouble_of_the_picture_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    chart = Pencil().drawn(CHART, paint)
    assert chart.svg == ""
    assert "matplotlib" in chart.trouble


def test_without_pictures_nothing_is_drawn() -> None:
    def never(axes: Sequence[Any]) -> None:
        raise AssertionError

    assert Pencil(draws=False).drawn(CHART, never) == CHART
