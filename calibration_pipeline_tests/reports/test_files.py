import os
import resource
import stat
from datetime import date
from pathlib import Path

import pytest

from calibration_pipeline.errors import BadInputError, DiskFullError
from calibration_pipeline.reports.files import (
    link_nights,
    reported_nights,
    write_index,
    write_page,
)
from calibration_pipeline_tests.reports.html_outline import outline


def page(sentence: str) -> str:
    return (
        f'<!DOCTYPE html><html><head><meta name="description" content="{sentence}"></head></html>'
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    earlier = os.umask(0)
    try:
        written = write_page(folder, date(2026, 3, 1), page("x"))
        index = write_index(folder)
    finally:
        os.umask(earlier)
    assert (mode(folder), mode(written), mode(index)) == (0o700, 0o600, 0o600)


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    folder.chmod(0o755)
    write_page(folder, date(2026, 3, 1), page("x"))
    assert mode(folder) == 0o700


def test_a_second_attempt_replaces_the_page_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_page(tmp_path, date(2026, 3, 1), page("first"))
    written = write_page(tmp_path, date(2026, 3, 1), page("second, é"))
    assert written.read_text(encoding="utf-8") == page("second, é")
    assert [path.name for path in tmp_path.iterdir()] == ["2026-03-01.html"]


def test_what_a_killed_writer_left_beside_a_page_goes_with_the_next_attempt(
    tmp_path: Path,
) -> None:
    (tmp_path / ".2026-03-01.html.k1lled").write_text("half a pa")
    (tmp_path / ".2026-03-02.html.wr1t1ng").write_text("another night's")
    write_page(tmp_path, date(2026, 3, 1), page("x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".2026-03-02.html.wr1t1ng",
        "2026-03-01.html",
    ]


def test_index_lists_nights_newest_first_with_their_outcome(tmp_path: Path) -> None:
    write_page(tmp_path, date(2026, 2, 28), page("Published version 1."))
    write_page(tmp_path, date(2026, 3, 1), page("Rejected: a &lt; b."))
    for other in ("20260301.html", "notes.html", "2026-03-02.txt"):
        (tmp_path / other).write_text("not a night")
    write_index(tmp_path)
    document = outline(write_index(tmp_path).read_text(encoding="utf-8"))
    assert [row[:2] for row in document.table("2 reported")[1:]] == [
        ["2026-03-01", "Rejected: a < b."],
        ["2026-02-28", "Published version 1."],
    ]
    assert [a.attributes["href"] for a in document.find("a")] == [
        "2026-03-01.html",
        "2026-02-28.html",
    ]


def test_index_of_an_empty_folder(tmp_path: Path) -> None:
    document = outline(write_index(tmp_path / "new").read_text(encoding="utf-8"))
    assert "No night has been reported yet." in document.text


def test_only_the_head_of_a_page_is_read(tmp_path: Path) -> None:
    write_page(tmp_path, date(2026, 3, 1), page("short") + "é" * 100_000)
    assert [night.sentence for night in reported_nights(tmp_path)] == ["short"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInputError, match="can't be written") as raised:
        write_page(tmp_path / "file", date(2026, 3, 1), page("x"))
    assert "\n" not in str(raised.value)


def test_a_full_disk_is_said_and_leaves_the_earlier_page(tmp_path: Path) -> None:
    written = write_page(tmp_path, date(2026, 3, 1), page("x"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(DiskFullError, match=r"2026-03-01\.html can't be written"):
            write_page(tmp_path, date(2026, 3, 1), page("y"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written.read_text() == page("x")
    assert list(tmp_path.iterdir()) == [written]


def night(day: date, **stated: str) -> str:
    """A page with what it states in its head, and the place of its links."""
    metas = "".join(f'<meta name="calibration-{k}" content="{v}">' for k, v in stated.items())
    return (
        f"<!DOCTYPE html><html><head>{metas}</head><body><!-- nights --><nav></nav><!-- /nights -->"
        f"<p>{day} <!-- nights -->stays<!-- /nights --></p></body></html>"
    )


def test_index_tells_verdict_version_counts_and_alarms(tmp_path: Path) -> None:
    published = {"outcome": "published", "version": "12", "answers": "15000", "refitted": "2066"}
    told = published | {"flags": "10 2", "alarms": "Look here (a; b)\n3 items &lt;there&gt;"}
    write_page(tmp_path, date(2026, 3, 2), night(date(2026, 3, 2), **told))
    write_page(tmp_path, date(2026, 3, 1), night(date(2026, 3, 1), outcome="rejected", answers="x"))
    rows = outline(write_index(tmp_path).read_text(encoding="utf-8")).table("2 reported")
    assert rows[1] == [
        "2026-03-02", "✓ Published", "12", "15,000", "2,066", "10 (2 new)",
        "Look here (a; b); 3 items <there>",
    ]  # fmt: skip
    assert rows[2] == ["2026-03-01", "✕ Rejected", "–", "–", "–", "–", "–"]


def links_of(folder: Path, day: date) -> list[tuple[str, str]]:
    (nav,) = outline((folder / f"{day}.html").read_text(encoding="utf-8")).find("nav")
    return [(a.attributes.get("rel") or "", a.attributes["href"] or "") for a in nav.find("a")]


def test_nights_are_linked_with_those_beside_them(tmp_path: Path) -> None:
    days = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 5)]
    for day in days[:2]:
        write_page(tmp_path, day, night(day))
        link_nights(tmp_path, [day])
    write_page(tmp_path, days[2], night(days[2]))
    link_nights(tmp_path, days[2:])
    index = ("", "index.html")
    assert links_of(tmp_path, days[0]) == [index, ("next", "2026-03-02.html")]
    assert links_of(tmp_path, days[1]) == [
        index,
        ("prev", "2026-03-01.html"),
        ("next", "2026-03-05.html"),
    ]
    assert links_of(tmp_path, days[2]) == [index, ("prev", "2026-03-02.html")]
    assert "stays" in (tmp_path / f"{days[1]}.html").read_text()
    assert mode(tmp_path / f"{days[0]}.html") == 0o600


def test_pages_without_a_new_neighbour_are_left_alone(tmp_path: Path) -> None:
    days = [date(2026, 3, day) for day in (1, 2, 3, 4)]
    for day in days:
        write_page(tmp_path, day, night(day))
    link_nights(tmp_path, days)
    for day in days:
        os.utime(tmp_path / f"{day}.html", (0, 0))
    write_page(tmp_path, days[3], night(days[3]))
    link_nights(tmp_path, days[3:])
    written = [day for day in days if (tmp_path / f"{day}.html").stat().st_mtime]
    assert written == days[3:]
