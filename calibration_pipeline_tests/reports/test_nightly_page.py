from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.differential import differential_flags
from calibration_pipeline.records import (
    AuditFinding,
    Flag,
    FlagEpisode,
    FlagReview,
    ItemDifference,
    ScaleWatch,
)
from calibration_pipeline.reports.nightly_page import (
    NightlyPage,
    missing_days,
    render_nightly_page,
)
from calibration_pipeline_tests.reports.html_outline import Element, outline
from calibration_pipeline_tests.reports.nights import (
    CONFIGURATION,
    HOSTILE,
    archive,
    hostile_pool,
    page_of_night,
    rejected,
)
from calibration_pipeline_tests.simulated import FIRST_DAY, day_from_data
from calibration_pipeline_tests.store.examples import GROUPS, SCREENING


@pytest.fixture(scope="module")
def nights() -> list[NightlyPage]:
    pool = hostile_pool()
    days = archive(pool, 3)
    first = page_of_night(pool, days[:2])
    return [first, page_of_night(pool, days, first)]


@pytest.fixture(scope="module")
def empty_night() -> NightlyPage:
    pool = hostile_pool()
    nothing = ResponseData(
        np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8), pool.bank.n_items
    )
    page = page_of_night(pool, [day_from_data(FIRST_DAY, pool.bank, nothing)])
    return replace(page, items=None, version=None, findings=(), links=())


def render(page: NightlyPage) -> Element:
    return outline(render_nightly_page(page))


def verdict(document: Element) -> str:
    (box,) = [e for e in document.find("div") if "verdict" in (e.attributes.get("class") or "")]
    return box.text


def figures(document: Element) -> dict[str, str]:
    pairs = zip(document.find("dt"), document.find("dd"), strict=True)
    return {name.text: value.text for name, value in pairs}


def test_the_headline_names_the_version(nights: list[NightlyPage]) -> None:
    document = render(nights[1])
    assert "Published version 2: 22 of 30 items refitted" in verdict(document)
    (description,) = [m for m in document.find("meta") if m.attributes.get("name") == "description"]
    assert (description.attributes["content"] or "") in verdict(document)


def test_figures_come_from_the_records(nights: list[NightlyPage]) -> None:
    shown = figures(render(nights[1]))
    assert shown["Answers of the day"].startswith("1,800")
    assert shown["Answers in the window"].startswith("5,400")
    assert "3 of 30 days" in shown["Answers in the window"]


def test_pool_is_counted_by_source_and_track(nights: list[NightlyPage]) -> None:
    rows = {row[0]: row[1:] for row in render(nights[1]).table("Items by source")}
    items = nights[1].items or ()
    trusted = sum(item.track == "trusted" for item in items)
    assert rows["Anchor, held at its reference"] == ["8", "0", "8"]
    assert rows["Refitted tonight"][2] == "22"
    assert rows["Pool"] == [str(trusted), str(len(items) - trusted), "30"]


def test_largest_moves_stand_first_with_both_errors(nights: list[NightlyPage]) -> None:
    page = nights[1]
    rows = render(page).table("The 15 items that moved most")[1:]
    sizes = [abs(float(row[1].replace("−", "-"))) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    named = {f"{item.key[0]}@{item.key[1]}": item for item in page.items or ()}
    top = named[rows[0][0]]
    before = page.previous[top.key]
    assert rows[0][4] == f"{before.difficulty_se:.2f}"
    assert rows[0][6] == f"{top.difficulty_se:.2f}"


def test_newly_trusted_items_are_listed(nights: list[NightlyPage]) -> None:
    page = nights[1]
    items = page.items or ()
    previous = {
        item.key: replace(item, track="provisional") if item.source == "fitted" else item
        for item in items
    }
    expected = [
        f"{i.key[0]}@{i.key[1]}" for i in items if i.source == "fitted" and i.track == "trusted"
    ]
    assert expected
    document = render(replace(page, previous=previous))
    (listed,) = [u for u in document.find("ul") if u.attributes.get("class") == "keys"]
    assert [entry.text for entry in listed.find("li")] == expected


def test_first_night_has_nothing_to_compare_with(nights: list[NightlyPage]) -> None:
    text = render(nights[0]).text
    assert "This is the first version" in text
    assert "the first accepted night sets out from the base priors" in text


def test_credible_flags_come_first_and_strongest_first(nights: list[NightlyPage]) -> None:
    key = nights[1].bank.keys
    flags = [
        Flag(key[20], "difficulty_drift", 0.5, 0.3, 0.15, 1.1, False, "weak"),
        Flag(key[21], "difficulty_drift", 0.9, 0.3, 0.15, 3.1, True, "strong"),
        Flag(key[22], "difficulty_drift", -0.6, 0.3, 0.15, -6.2, True, "strongest"),
        Flag(key[23], "suspected_leak", 9.0, np.nan, 4.6, np.inf, True, "a later reason"),
    ]
    document = render(replace(nights[1], flags=flags))
    rows = document.table("New flags, strongest")
    told = [row[0] for row in rows if len(row) == 1]
    assert told[1:3] == ["strongest", "strong"]  # the first is their reason, as is the fourth
    assert told[4] == "a later reason"
    assert told[3].startswith("Suspected leak: 1 by log likelihood ratio")
    assert rows[2][1:5] == ["−6.2", "−0.60", "0.30", "±0.15"]
    assert rows[7][1:] == ["–", "9.00", "–", "4.60", "–"]
    assert ["Difficulty drift", "2", "1"] in document.table("Flags by reason")
    assert ["Suspected leak", "1", "0"] in document.table("Flags by reason")
    assert "3 flags open, 3 new, 0 resolved" in verdict(document)
    (weak,) = [d for d in document.find("details") if "not credible" in d.find("summary")[0].text]
    assert weak.table("Thresholds")[3] == ["weak"]


def test_what_is_new_tonight_stands_apart_from_what_is_known(nights: list[NightlyPage]) -> None:
    key, tonight = nights[1].bank.keys, nights[1].state.partition
    flags = [
        Flag(key[j], "misfit_infit", 1.5, 1.0, 1.3, 4.0, True, word)
        for j, word in ((20, "fresh"), (21, "known"), (22, "silenced"))
    ]
    statuses = [("open", tonight), ("acknowledged", FIRST_DAY), ("dismissed", FIRST_DAY)]
    reviews = [
        FlagReview(FlagEpisode(flag.key, flag.reason, ((since, flag),)), status, since)
        for flag, (status, since) in zip(flags, statuses, strict=True)
    ]
    gone = Flag(key[23], "anchor_drift", 1.5, 1.0, 1.3, 4.0, True, "gone")
    over = FlagEpisode(gone.key, gone.reason, ((FIRST_DAY, gone),), tonight)
    reviews.append(FlagReview(over, "resolved", tonight))
    document = render(replace(nights[1], flags=flags, reviews=reviews))
    for caption, word in (
        ("New flags, strongest", "fresh"),
        ("Flags that are open since", "known"),
        ("Credible flags that wait", "silenced"),
    ):
        assert document.table(caption)[-1] == [word]
    assert figures(document)["Open flags"].startswith("2")
    assert "1 new, 1 resolved tonight" in figures(document)["Open flags"]
    assert f"anchor drift, {FIRST_DAY} to {FIRST_DAY}" in document.text


def test_late_answers_to_folded_days_stand_among_the_answers(nights: list[NightlyPage]) -> None:
    page = replace(nights[1], late_answers={FIRST_DAY: 12})
    assert f"12 answers to a day ({FIRST_DAY}) that had been folded in" in render(page).text
    assert "folded in came too late" not in render(nights[1]).text


def test_rejected_night_says_why_and_leaves_out_what_does_not_exist(
    nights: list[NightlyPage],
) -> None:
    page = rejected(nights[1], "scale main: not converged after 500 cycles", "another <reason>")
    document = render(page)
    assert "scale main: not converged after 500 cycles; another <reason>." in verdict(document)
    assert "The version published before stands." in document.text
    assert "New flags" not in figures(document)
    assert [h.text for h in document.find("h2")] == ["Flagged items", "Fit", "Answers", "Lineage"]


def test_failed_audit_names_the_rule(nights: list[NightlyPage]) -> None:
    findings = [
        AuditFinding("every value is finite", True, ""),
        AuditFinding("no trusted item is provisional again", False, "1 items: ('i00003', 1)"),
    ]
    document = render(replace(nights[1], version=None, findings=findings))
    assert "failed 1 of 2 rules (no trusted item is provisional again)" in verdict(document)
    assert "Items as composed, not published" in [h.text for h in document.find("h2")]
    assert document.table("A version is published only")[2][1].startswith("✕ failed: 1 items")


def test_values_that_are_not_finite_are_drawn_nowhere(nights: list[NightlyPage]) -> None:
    items = list(nights[1].items or ())
    items[20] = replace(items[20], difficulty=np.nan)
    items[21] = replace(items[21], difficulty=9.0, difficulty_se=np.nan)
    document = render(replace(nights[1], items=items, version=None))
    rows = document.table("The 15 items that moved most")
    assert rows[1][0] == "i00021@1"
    assert rows[1][6] == "–"
    assert "i00020@1" not in [row[0] for row in rows]
    positions = [value for line in document.find("line") for value in line.attributes.values()]
    assert "nan" not in positions


def test_unpublished_night_without_a_fault_says_so(nights: list[NightlyPage]) -> None:
    assert "a dry run" in verdict(render(replace(nights[1], version=None)))


def test_empty_night(empty_night: NightlyPage) -> None:
    document = render(empty_night)
    assert "Nothing was eligible" in verdict(document)
    assert "Not refitted: 0 items with 25 answers or more" in document.text
    assert figures(document)["Answers of the day"].startswith("0")


def test_missing_days_are_given_as_runs(nights: list[NightlyPage]) -> None:
    window = tuple((date(2026, 1, day), 1, "x") for day in (2, 3, 6, 8))
    state = replace(nights[0].state, partition=date(2026, 1, 10), window=window)
    assert missing_days(state, 10) == (
        (date(2026, 1, 1), date(2026, 1, 1)),
        (date(2026, 1, 4), date(2026, 1, 5)),
        (date(2026, 1, 7), date(2026, 1, 7)),
        (date(2026, 1, 9), date(2026, 1, 10)),
    )


def test_quarantined_rows_stand_by_reason(nights: list[NightlyPage]) -> None:
    day = replace(nights[1].day, quarantine_counts={"null_score": 2, "unknown_item": 1200})
    document = render(replace(nights[1], day=day))
    assert document.table("Quarantined rows")[1:] == [
        ["unknown item", "1,200"],
        ["null score", "2"],
    ]
    assert figures(document)["Quarantined rows"].startswith("1,202")


def test_a_scale_in_doubt_says_why(nights: list[NightlyPage]) -> None:
    quiet = ScaleWatch("main", np.nan, np.nan, None, np.nan, np.nan, 6.4, None, ())
    assert "No earlier night to compare with" in render_nightly_page(
        replace(nights[-1], watched=(quiet,))
    )
    doubted = ScaleWatch(
        "main", 0.24, 0.04, date(2026, 1, 30), 1.2, -0.3, 6.4, None, ("the anchors <moved>",)
    )
    text = render_nightly_page(replace(nights[-1], watched=(doubted,)))
    assert "Look at the anchors: the anchors &lt;moved&gt;" in text
    assert "+0.240 (0.040)" in text
    assert "Watch over the scales" not in render_nightly_page(nights[-1])


def test_left_out_anchors_stand_with_their_reason(nights: list[NightlyPage]) -> None:
    link = replace(nights[1].links[0], anchors_left_out={f"{HOSTILE}@2": "shifted by 0.41"})
    rows = render(replace(nights[1], links=[link])).table("Anchors left out on scale main")
    assert rows[1:] == [[f"{HOSTILE}@2", "shifted by 0.41"]]


def test_item_ids_cannot_leave_their_cell(nights: list[NightlyPage]) -> None:
    flag = Flag((HOSTILE, 1), "anchor_drift", 1.0, 0.2, 0.15, 5.0, True, HOSTILE)
    html = render_nightly_page(replace(nights[1], flags=[flag]))
    assert "<script" not in html
    assert f"{HOSTILE}@1" in outline(html).table("New flags, strongest")[2][0]


def test_page_stands_alone_and_is_the_same_every_time(nights: list[NightlyPage]) -> None:
    document = render(nights[1])
    for tag in ("script", "link", "img", "iframe", "object"):
        assert not document.find(tag)
    assert "url(" not in document.find("style")[0].text
    assert [a.attributes["href"] for a in document.find("a")] == ["index.html"]
    assert render_nightly_page(nights[1]) == render_nightly_page(nights[1])


def test_page_can_be_read_by_a_screen_reader(nights: list[NightlyPage]) -> None:
    document = render(nights[1])
    assert document.find("html")[0].attributes["lang"] == "en"
    assert len(document.find("h1")) == 1
    for table in document.find("table"):
        assert len(table.find("caption")) == 1
        assert all(heading.attributes.get("scope") for heading in table.find("th"))
    assert all(chart.attributes["aria-hidden"] == "true" for chart in document.find("svg"))
    names = [e.attributes["id"] for e in document.find("h2")]
    assert len(names) == len(set(names))
    assert [s.attributes["aria-labelledby"] for s in document.find("section")] == names


def test_several_scales_are_told_apart(nights: list[NightlyPage]) -> None:
    page = nights[1]
    half = np.arange(page.bank.n_items) % 2
    bank = replace(
        page.bank, scale_names=("main", "reading"), scale_models=("3PL", "3PL"), scale_index=half
    )
    scales = (page.state.scales[0], replace(page.state.scales[0], name="reading", converged=False))
    flag = Flag(bank.keys[3], "misfit_infit", 1.5, 1.0, 1.3, 4.0, True, "why")
    document = render(
        replace(page, bank=bank, state=replace(page.state, scales=scales), flags=[flag])
    )
    assert document.table("New flags, strongest")[3] == ["scale reading: why"]
    row = document.table("Population and estimation")[2]
    assert (row[0], row[2], row[-1]) == ("reading", "15", "Not converged")


def with_screening(page: NightlyPage, **changes: object) -> NightlyPage:
    scale = replace(page.state.scales[0], groups=GROUPS, screening=SCREENING)
    return replace(page, state=replace(page.state, scales=(scale,), **changes))


def test_what_was_found_in_the_answers_is_told(nights: list[NightlyPage]) -> None:
    rows = render(with_screening(nights[1])).table("What was found in the answers")[1:]
    assert rows[0] == ["Sessions too short to inform", "12", "0.8% of sessions"]
    assert ["Rapid guesses", "150", "0.5% of answers"] in rows
    as_they_are = render(nights[0]).table("What was found in the answers")[1:]
    assert ["Sessions that do not follow the model", "unknown", "–"] in as_they_are


def test_findings_stand_under_their_scale_where_there_are_several(
    nights: list[NightlyPage],
) -> None:
    page = with_screening(nights[1])
    main = page.state.scales[0]
    bank = replace(page.bank, scale_names=("main", "reading"), scale_models=("3PL", "3PL"))
    scales = (main, replace(main, name="reading", groups=()))
    document = render(replace(page, bank=bank, state=replace(page.state, scales=scales)))
    rows = document.table("What was found in the answers")
    assert [row for row in rows if len(row) == 1] == [["Scale main"], ["Scale reading"]]
    assert document.table("Ability by group")[1][:2] == ["main", "north, new"]


def test_groups_stand_with_their_abilities(nights: list[NightlyPage]) -> None:
    rows = render(with_screening(nights[1])).table("Ability by group")
    assert rows[1:] == [
        ["north, new", "1,200", "0.300", "–", "0.333"],
        ["süd, known start", "300", "−0.500", "0.700", "0.900"],
    ]
    captions = [caption.text for caption in render(nights[1]).find("caption")]
    assert not [caption for caption in captions if "group of candidates" in caption]


def test_a_difference_between_groups_is_shown_on_its_own_axis(nights: list[NightlyPage]) -> None:
    page = nights[1]
    south = ItemDifference(page.bank.keys[20], "south", "north", 0.5, 0.1, -1.2, 0.24, 0.001)
    state = replace(page.state, differences=(south, replace(south, key=page.bank.keys[21])))
    flags = list(differential_flags(state.differences[:1], CONFIGURATION))
    document = render(replace(page, state=state, flags=flags))
    assert "2 items had enough answers to be compared between population groups." in document.text
    rows = document.table("New flags, strongest")
    assert rows[1][0].startswith("Difference between groups (Mantel–Haenszel delta): 1")
    assert rows[2][1:5] == ["−5.0", "−1.20", "0.00", "±1.00"]
    assert "compared between population groups" not in render(page).text
