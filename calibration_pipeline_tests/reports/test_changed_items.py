"""Items whose carried information was dropped: which are shown, and what the page says of them."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.reports.changed_items import changed_items
from calibration_pipeline.reports.nightly_page import NightlyPage, render_nightly_page
from calibration_pipeline_tests.reports.html_outline import Element, outline
from calibration_pipeline_tests.reports.nights import archive, hostile_pool, page_of_night, rejected


@pytest.fixture(scope="module")
def night() -> NightlyPage:
    pool = hostile_pool()
    return page_of_night(pool, archive(pool, 2))


def page_of(page: NightlyPage) -> Element:
    return outline(render_nightly_page(page))


def with_changed_items(page: NightlyPage, n: int) -> NightlyPage:
    """The same night, its last n items contradicted: the last one the most, every other easier."""
    j = np.arange(page.bank.n_items)
    state = replace(
        page.state,
        is_contradicted=j >= len(j) - n,
        carried_shift=np.where(j % 2, 0.05, -0.05) * j,
        carried_shift_se=np.full(len(j), 0.1),
    )
    return replace(page, state=state)


def test_items_that_changed_are_listed_with_what_it_means(night: NightlyPage) -> None:
    page = with_changed_items(night, 2)
    document = page_of(page)
    rows = document.table("2 items whose carried information was dropped")[1:]
    named = [f"{key[0]}@{key[1]}" for key in page.bank.keys]
    assert [row[0] for row in rows] == [named[29], named[28]]
    assert [row[1] for row in rows] == ["+1.45 harder", "−1.40 easier"]
    assert [row[2] for row in rows] == ["0.10", "0.10"]
    assert [row[4] for row in rows] == [f"{page.state.window_counts[j]:,}" for j in (29, 28)]
    assert "Later answers make these items harder or easier" in document.text
    assert "those of the last 30 days" in document.text
    assert "What they carried from before the window no longer counts." in document.text
    alone = page_of(with_changed_items(night, 1)).text
    assert "make this item harder or easier" in alone
    assert "What it carried from before the window no longer counts." in alone


def test_of_many_items_that_changed_the_clearest_are_shown(night: NightlyPage) -> None:
    page = with_changed_items(night, 20)
    found = changed_items(page.state, page.bank, limit=7)
    assert (found.count, len(found.rows), found.left_out) == (20, 7, 13)
    strengths = [abs(row.shift) for row in found.rows]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] == pytest.approx(1.45)


def test_items_that_changed_are_named_with_their_scale_where_there_are_more(
    night: NightlyPage,
) -> None:
    page = with_changed_items(night, 2)
    bank = replace(
        page.bank,
        scale_names=("main", "other"),
        scale_index=(np.arange(page.bank.n_items) == 29).astype(np.int64),
    )
    scales = [row.scale for row in changed_items(page.state, bank, limit=9).rows]
    assert scales == ["other", "main"]


def test_without_items_that_changed_there_is_no_section(night: NightlyPage) -> None:
    assert "Items that changed" not in page_of(with_changed_items(night, 0)).text
    rejected_night = rejected(with_changed_items(night, 2), "no")
    assert "Items that changed" not in page_of(rejected_night).text
