"""Which of tonight's flags wait for a reviewer."""

from dataclasses import replace
from datetime import date, timedelta

from calibration_pipeline.records import Flag, FlagEpisode, FlagReview
from calibration_pipeline.reports.flag_standing import flag_standing

NIGHT = date(2026, 3, 9)
EARLIER = NIGHT - timedelta(days=3)
FLAG = Flag(("i1", 1), "misfit_infit", 1.5, 1.0, 1.3, 4.0, True, "why")


def flag(name: str, *, is_credible: bool = True) -> Flag:
    return replace(FLAG, key=(name, 1), is_credible=is_credible)


def review(name: str, status: str, since: date = EARLIER) -> FlagReview:
    found = flag(name)
    return FlagReview(FlagEpisode(found.key, found.reason, ((EARLIER, found),)), status, since)


def names(flags: tuple[Flag, ...]) -> list[str]:
    return [found.key[0] for found in flags]


def test_every_flag_of_the_night_has_one_place() -> None:
    reviews = [
        review("new", "open", NIGHT),
        review("open", "open"),
        review("known", "acknowledged"),
        review("dismissed", "dismissed"),
        review("retired", "retired"),
        review("quiet", "dismissed"),
        review("again", "resolved", EARLIER),
        review("unseen", "open"),
        review("over", "resolved", NIGHT),
    ]
    flags = [flag(name) for name in ("new", "open", "known", "dismissed", "retired", "unheard-of")]
    flags += [flag("quiet", is_credible=False), flag("noise", is_credible=False)]
    flags += [flag("again", is_credible=False)]
    found = flag_standing(flags, reviews, NIGHT)
    assert names(found.new) == ["new", "unheard-of"]
    assert names(found.known) == ["open", "known"]
    assert names(found.silent) == ["dismissed", "retired"]
    assert names(found.others) == ["quiet", "noise", "again"]
    assert [r.episode.key[0] for r in found.unseen] == ["unseen"]
    assert [r.episode.key[0] for r in found.resolved] == ["over"]


def test_a_flag_that_persists_on_weaker_evidence_stays_with_the_open_ones() -> None:
    found = flag_standing([flag("open", is_credible=False)], [review("open", "open")], NIGHT)
    assert names(found.known) == ["open"]
