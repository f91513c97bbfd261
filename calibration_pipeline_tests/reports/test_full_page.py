"""A page with everything on it: what its sections state, and who can read it."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from calibration_pipeline.reports.files import reported_nights, write_page
from calibration_pipeline.reports.nightly_page import NightlyPage, render_nightly_page
from calibration_pipeline_tests.reports.html_outline import Element, outline
from calibration_pipeline_tests.reports.nights import (
    archive,
    full_page,
    hostile_pool,
    page_of_night,
    rejected,
)

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def night() -> NightlyPage:
    pool = hostile_pool()
    days = archive(pool, 3)
    return full_page(pool, days, page_of_night(pool, days, page_of_night(pool, days[:2])))


@pytest.fixture(scope="module")
def html(night: NightlyPage) -> str:
    return render_nightly_page(night)


@pytest.fixture(scope="module")
def document(html: str) -> Element:
    return outline(html)


def figure(document: Element, title: str) -> Element:
    (found,) = [f for f in document.find("figure") if f.find("caption")[0].text == title]
    return found


def titles(document: Element) -> list[str]:
    return [heading.text for tag in ("h3", "h4") for heading in document.find(tag)]


def test_every_chart_of_the_night_is_there(document: Element) -> None:
    assert len(document.find("figure")) == 2 * 2 + 3 + 2 + 1 + 1
    for title in (
        "Response curve", "Difficulty over the nights", "Test information of scale main",
        "Usable pool", "Mean standard error of ability", "Anchor displacement tonight",
        "Anchor displacement over the nights", "Candidates on scale main", "Runtime by step",
    ):  # fmt: skip
        assert title in titles(document)


def test_a_flagged_item_is_told_with_its_answers(night: NightlyPage, document: Element) -> None:
    story = document.find("article")[0]
    key = night.bank.keys[0]
    assert story.find("h3")[0].text == f"{key[0]}@1 new tonight"
    assert f"Difficulty drift: moved {key[0]}" in story.text
    observed = night.look_back.evidence.observed[key]
    rows = story.table("Response curve")[1:]
    assert [int(row[1]) for row in rows] == observed.answers.tolist()
    assert f"{observed.answers.sum()} answers in" in story.find("figcaption")[0].text
    assert "The interval is 3.92 wide then and 0.30 now." in story.text


def test_what_changed_names_the_version_before(document: Element) -> None:
    (section,) = [
        s for s in document.find("section") if s.attributes["aria-labelledby"] == "changes"
    ]
    assert section.find("h2")[0].text == "What changed since version 1"
    assert "items have another difficulty, by 0." in section.text


def test_more_flagged_items_than_are_drawn_are_counted(night: NightlyPage) -> None:
    fewer = replace(night, look_back=replace(night.look_back, items_drawn=1, draws=False))
    document = outline(render_nightly_page(fewer))
    assert len(document.find("article")) == 1
    assert "The 1 of 2 items with open flags whose evidence is strongest" in document.text
    none = replace(night, look_back=replace(night.look_back, items_drawn=0))
    assert "Flagged items in pictures" not in render_nightly_page(none)


def test_the_index_finds_what_it_tells_in_the_page_s_head(
    night: NightlyPage, tmp_path: Path
) -> None:
    scale = replace(night.state.scales[0], converged=False)
    drifted = replace(night.flags[0], reason="anchor_drift")
    page = replace(
        night,
        state=replace(night.state, scales=(scale,)),
        flags=[*night.flags, drifted],
        look_back=replace(night.look_back, draws=False),
    )
    write_page(tmp_path, page.state.partition, render_nightly_page(page))
    (told,) = reported_nights(tmp_path)
    assert told.sentence.startswith("Published version 2: 22 of 30 items refitted")
    assert (told.outcome, told.figure("version"), told.flags) == ("published", "2", "3 (3 new)")
    assert (told.figure("answers"), told.figure("refitted")) == ("1,800", "22")
    assert told.alarms == (
        "The estimation of scale main did not converge",
        "1 anchor credibly off the reference",
    )
    (section,) = [
        s
        for s in outline(render_nightly_page(page)).find("section")
        if s.attributes["aria-labelledby"] == "alarms"
    ]
    assert [entry.text for entry in section.find("li")] == list(told.alarms)


def test_without_pictures_the_same_figures_stand_in_open_tables(
    night: NightlyPage, document: Element
) -> None:
    plain = outline(
        render_nightly_page(replace(night, look_back=replace(night.look_back, draws=False)))
    )
    assert [f.find("figcaption")[0].text for f in plain.find("figure")] == [
        f.find("figcaption")[0].text for f in document.find("figure")
    ]
    for shown in plain.find("figure"):
        assert not shown.find("svg")
        assert "open" in shown.find("details")[0].attributes


def test_a_picture_that_fails_does_not_cost_the_page(
    night: NightlyPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise OSError("no fonts <here>")

    monkeypatch.setattr("calibration_pipeline.reports.charts.svg_image", fails)
    broken = outline(render_nightly_page(night))
    assert "Published version 2" in broken.text
    assert "The chart could not be drawn (OSError: no fonts <here>)" in broken.text
    assert figure(broken, "Usable pool").find("table")


def test_a_rejected_night_has_the_charts_of_what_stands(night: NightlyPage) -> None:
    look_back = replace(night.look_back, draws=False)
    stopped = rejected(replace(night, look_back=look_back), "not converged")
    document = outline(render_nightly_page(stopped))
    captions = [f.find("caption")[0].text for f in document.find("figure")]
    assert captions == ["Runtime by step"]
    assert "not converged" in document.text


def test_every_picture_says_its_figures(document: Element) -> None:
    for shown in document.find("figure"):
        (picture,) = [d for d in shown.find("div") if d.attributes.get("role") == "img"]
        said = shown.find("figcaption")[0].text
        assert said
        assert said in " ".join((picture.attributes["aria-label"] or "").split())
        assert all(svg.attributes["aria-hidden"] == "true" for svg in picture.find("svg"))
        assert len(shown.find("table")[0].find("tr")) > 1


def test_headings_are_in_order_and_tables_are_labelled(html: str, document: Element) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in document.find("table"):
        assert all(heading.attributes.get("scope") for heading in table.find("th"))
    identifiers = re.findall(r'\bid="([^"]+)"', html)
    assert len(identifiers) == len(set(identifiers))
    labels = re.findall(r'aria-labelledby="([^"]+)"', html)
    assert set(labels) <= set(identifiers)


def test_lines_differ_in_more_than_their_colour(html: str) -> None:
    (curve,) = re.findall(r'<div class="chart".*?</div>', html, re.DOTALL)[:1]
    assert "stroke-dasharray" in curve


def test_ids_can_not_leave_the_page(html: str) -> None:
    assert "<script" not in html


def test_a_night_with_sixty_flagged_items_stays_small(night: NightlyPage) -> None:
    story = night.look_back.evidence
    key = night.bank.keys[0]
    flags = [
        replace(night.flags[0], key=other, explanation="x " * 60)
        for other in night.bank.keys
        for _ in range(2)
    ]
    evidence = replace(
        story,
        observed=dict.fromkeys(night.bank.keys, story.observed[key]),
        estimates=dict.fromkeys(night.bank.keys, tuple(story.estimates[key]) * 3),
    )
    look_back = replace(night.look_back, evidence=evidence)
    html = render_nightly_page(replace(night, flags=flags, look_back=look_back))
    assert html.count("<article") == look_back.items_drawn
    assert len(html.encode()) < MEGABYTE
