"""The nightly page in a real browser: drawn, self-contained, and readable on a phone."""

from pathlib import Path

import pytest

from calibration_pipeline.reports.files import link_nights, write_index, write_page
from calibration_pipeline.reports.nightly_page import render_nightly_page
from calibration_pipeline_tests.browser import DESKTOP, PHONE, Browser, Visit, browser
from calibration_pipeline_tests.reports.nights import (
    archive,
    full_page,
    hostile_pool,
    page_of_night,
)

__all__ = ["browser"]

CONTRAST = 4.5
"""Least contrast of text, by the Web Content Accessibility Guidelines 2.2, level AA."""
MEASURE_TEXTS = """() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126*channel(r) + 0.7152*channel(g) + 0.0722*channel(b);
  const paper = node => {
    for (; node; node = node.parentElement) {
      const found = parse(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, node = text.parentElement;
    if (!text.data.trim() || node.closest("style")) continue;
    const style = getComputedStyle(node);
    const ink = parse(node.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(paper(node))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < LIMIT) poor.push([text.data.trim().slice(0, 40), contrast]);
  }
  return poor;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights with everything on their pages, and the index."""
    made = tmp_path_factory.mktemp("reports")
    pool = hostile_pool()
    days = archive(pool, 3)
    first = page_of_night(pool, days[:2])
    second = full_page(pool, days, page_of_night(pool, days, first), n_flags=3)
    for page in (first, second):
        write_page(made, page.state.partition, render_nightly_page(page))
    link_nights(made, [first.state.partition, second.state.partition])
    write_index(made)
    return made


@pytest.fixture
def newest(folder: Path) -> Path:
    return sorted(folder.glob("2*.html"))[-1]


def charts_drawn(visit: Visit) -> int:
    """Pictures that take up room and hold a line, each seen by the browser's own layout."""
    return int(
        visit.page.evaluate(
            """() => [...document.querySelectorAll("[role=img] svg")].filter(svg => {
              const box = svg.getBoundingClientRect();
              const paths = [...svg.querySelectorAll("path")];
              return box.width > 200 && box.height > 100
                && paths.some(path => path.getTotalLength() > 50);
            }).length"""
        )
    )


def test_charts_are_drawn_and_nothing_is_fetched(browser: Browser, newest: Path) -> None:
    with browser.visit(newest.as_uri()) as visit:
        assert charts_drawn(visit) == 3 * 2 + 7
        assert visit.problems == []
        assert visit.requests == [newest.as_uri()]
        visit.screenshot("nightly-page")


def test_it_is_readable_on_a_phone(browser: Browser, newest: Path) -> None:
    with browser.visit(newest.as_uri(), PHONE) as visit:
        assert visit.overflow == 0
        visit.screenshot("nightly-page-phone")
        # Opened, the tables scroll by themselves.
        visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert visit.overflow == 0
        assert visit.problems == []
    with browser.visit((newest.parent / "index.html").as_uri(), PHONE) as visit:
        assert visit.overflow == 0
        visit.screenshot("nights-phone")


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_paper(browser: Browser, newest: Path, *, dark: bool) -> None:
    with browser.visit(newest.as_uri(), DESKTOP, dark=dark) as visit:
        measure = MEASURE_TEXTS.replace("LIMIT", str(CONTRAST))
        assert visit.page.evaluate(measure) == []


@pytest.mark.slow
def test_a_reader_goes_from_night_to_night(browser: Browser, newest: Path) -> None:
    with browser.visit((newest.parent / "index.html").as_uri()) as visit:
        visit.screenshot("nights")
        visit.page.get_by_role("link", name=newest.stem).click()
        visit.page.get_by_role("link", name="Night before").click()
        visit.page.get_by_role("link", name="Night after").click()
        assert visit.page.get_by_role("heading", level=1).inner_text().endswith(newest.stem)
        visit.page.get_by_role("link", name="All nights").click()
        assert visit.page.get_by_role("heading", level=1).inner_text() == "Calibration nights"
        assert visit.problems == []


def test_what_is_seen_is_also_said(browser: Browser, newest: Path) -> None:
    with browser.visit(newest.as_uri()) as visit:
        picture = visit.page.get_by_role("img", name="Usable pool").first
        assert "22 items are usable" in (picture.get_attribute("aria-label") or "")


@pytest.mark.slow
def test_it_prints_without_dark_paper(browser: Browser, newest: Path) -> None:
    with browser.visit(newest.as_uri(), DESKTOP, dark=True) as visit:
        visit.page.emulate_media(media="print")
        paper = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)"
        assert not visit.page.get_by_role("navigation").is_visible()
        assert visit.page.pdf().startswith(b"%PDF")
