"""The pages of a calibrated programme: what they look back on, and what can't hold them up."""

from datetime import timedelta
from pathlib import Path

import pytest

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.orchestration.report_reading import (
    NightSeconds,
    ReportOptions,
    read_page,
)
from calibration_pipeline.reports.nightly_page import render_nightly_page
from calibration_pipeline.store.calibration_store import CalibrationStore
from calibration_pipeline_tests.browser import PHONE, open_browser
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, Programme, programme_on
from calibration_pipeline_tests.reports.html_outline import outline
from calibration_pipeline_tests.reports.test_page_in_browser import charts_drawn

PLAIN = ReportOptions(draws=False)


def pages(programme: Programme) -> list[Path]:
    return sorted((programme.settings.home / "reports").glob("2*.html"))


def test_the_history_of_a_programme(calibrated: Programme) -> None:
    state, store = calibrated.state(LAST), calibrated.store()
    key = state.keys[0]
    history = store.night_history(LAST, [key])
    assert history.since == FIRST
    last = history.figures[-1]
    shown = calibrated.materializations("candidate_abilities")[LAST.isoformat()]
    assert (last.night, last.sessions) == (LAST, shown["dagster/row_count"])
    rounded = shown["mean standard error of ability"]
    assert last.ability_se == pytest.approx(rounded, abs=5e-5)
    assert last.usable + last.provisional + last.retired == len(state.keys)
    assert [night.night for night in history.displacements] == list(NIGHTS)
    assert [estimate.night for estimate in history.estimates[key]] == list(NIGHTS)
    newest = history.estimates[key][-1]
    assert newest.difficulty == pytest.approx(state.shadow_parameters[0, 1])
    earlier = store.night_history(NIGHTS[2], [key])
    assert earlier.figures[-1].night == NIGHTS[2], "a night looks back and never ahead"


def test_a_range_run_links_its_pages_and_tells_the_runtime_of_each_night(
    calibrated: Programme,
) -> None:
    assert [page.stem for page in pages(calibrated)] == [str(night) for night in NIGHTS]
    for number, page in enumerate(pages(calibrated)):
        document = outline(page.read_text(encoding="utf-8"))
        beside = {
            a.attributes["rel"]: a.attributes["href"]
            for a in document.find("a")
            if a.attributes.get("rel")
        }
        expected = {}
        if number:
            expected["prev"] = f"{NIGHTS[number - 1]}.html"
        if page.stem != str(LAST):
            expected["next"] = f"{NIGHTS[number + 1]}.html"
        assert beside == expected
        steps = {row[0] for row in document.table("Runtime by step")[1:]}
        assert {"responses", "item_fits", "item_flags", "calibration_snapshot"} <= steps
        usual = {row[2] for row in document.table("Runtime by step")[1:]}
        assert (usual == {"–"}) == (number == 0)


def test_a_page_that_is_written_alone_tells_what_the_whole_night_took(
    calibrated: Programme,
) -> None:
    store, state = calibrated.store(), calibrated.state(LAST)
    page = read_page(store, state, calibrated.settings.policy, PLAIN, NightSeconds())
    steps = {row[0] for row in outline(render_nightly_page(page)).table("Runtime by step")[1:]}
    assert {"item_fits", "nightly_report"} <= steps


def test_answers_that_are_gone_cost_a_page_its_dots_alone(
    calibrated: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> int:
        raise NightBlockedError("the answers were deleted on 2026-01-01: past retention")

    store, state = calibrated.store(), calibrated.state(LAST)
    monkeypatch.setattr(
        "calibration_pipeline.orchestration.report_reading.items_to_draw",
        lambda *_: (state.keys[:2], 2),
    )
    whole = read_page(store, state, calibrated.settings.policy, PLAIN, NightSeconds())
    assert set(whole.look_back.evidence.observed) <= set(state.keys[:2])
    assert whole.look_back.evidence.observed
    monkeypatch.setattr(CalibrationStore, "kept_revision", gone)
    page = read_page(store, state, calibrated.settings.policy, PLAIN, NightSeconds())
    assert page.look_back.evidence.observed == {}
    assert "past retention" in page.look_back.evidence.trouble
    assert "Published version" in render_nightly_page(page)


@pytest.mark.slow
def test_pages_with_pictures_in_a_browser(calibrated_copy: Programme) -> None:
    url = calibrated_copy.settings.database_url
    assert url is not None
    drawing = programme_on(
        url.get_secret_value(), calibrated_copy.settings.home, report_charts=True
    )
    drawing.run(FIRST, LAST, assets=("nightly_report",))
    written = pages(drawing)
    assert len(written) == len(NIGHTS) == (LAST - FIRST) // timedelta(days=1) + 1
    with open_browser() as browser:
        for page in written:
            with browser.visit(page.as_uri(), PHONE) as visit:
                assert visit.overflow == 0
                assert visit.problems == []
                assert visit.requests == [page.as_uri()]
                assert "could not be drawn" not in visit.page.content()
        with browser.visit(written[-1].as_uri()) as visit:
            assert charts_drawn(visit) >= 7
            visit.screenshot("nightly-page-of-a-programme")
