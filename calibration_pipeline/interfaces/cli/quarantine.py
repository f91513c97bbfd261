"""``calibrate quarantine``: what was left out, why, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.policy.answer_remarks import stays_in_windows
from calibration_pipeline.policy.quarantine_reasons import QUARANTINE_REASONS, bad_rows, in_words
from calibration_pipeline.policy.verdicts import too_many_bad_rows
from calibration_pipeline.reports.templating import counted
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.quarantine_reading import QuarantinedDay, QuarantinedRow

_EXAMPLE = {
    "session": "Session",
    "candidate": "Candidate",
    "item": "Item",
    "answered": "Answered",
    "result": "Result",
}


@click.command()
@click.option("--day", type=DAY, help="One local day.")
@click.option("--from", "first", type=DAY, help="First local day.  [default: a window before --to]")
@click.option("--to", "last", type=DAY, help="Last local day.  [default: the newest extracted one]")
@click.option("--reason", type=click.Choice(list(QUARANTINE_REASONS)), help="Only this one.")
@click.option(
    "--examples", type=click.IntRange(min=0), default=3, show_default=True, help="Per reason."
)
@json_option
def quarantine(
    day: datetime | None,
    first: datetime | None,
    last: datetime | None,
    reason: str | None,
    examples: int,
    as_json: bool,
) -> None:
    """Tell what was left out of the archived days, why, and what to do about it.

    Counts by day and reason, and some of the rows, newest day first; people stand under the first
    digits of their pseudonyms. Each day as it was last extracted: mend the source and run the
    night again with --refresh. Exit code 1 when one of the days has more bad rows than
    CALIBRATION_POLICY__MAXIMUM_QUARANTINED_SHARE allows, whatever --reason is.

    Example: calibrate quarantine --day 2026-11-20 --reason unknown_item --examples 10
    """
    settings = load_settings()
    with configured_database(create=False) as database:
        from calibration_pipeline.store.archive_opening import open_archive
        from calibration_pipeline.store.quarantine_reading import (
            newest_archived_day,
            quarantined_days,
            read_examples,
        )

        days = chosen_days(day, first, last, newest_archived_day(database), settings)
        found = quarantined_days(database, days)
        revisions = [entry.revision for entry in reversed(found) if entry.revision]
        archive = open_archive(settings.archive_place)
        only = None if reason is None else {reason}
        rows = read_examples(database, archive, revisions, examples, only)
    problems = [
        f"{problem}; until then {stays_in_windows(entry.day, settings.policy)}"
        for entry in found
        if entry.revision and (problem := too_many_bad_rows(entry.revision, settings.policy))
    ]
    if as_json:
        print_json(document(found, rows, problems, reason))
    else:
        _print(found, rows, reason, ZoneInfo(settings.timezone))
    for problem in problems:
        say(problem)
    if problems:
        raise click.exceptions.Exit(1)


def chosen_days(
    day: datetime | None,
    first: datetime | None,
    last: datetime | None,
    newest: date | None,
    settings: Settings,
) -> list[date]:
    """Give the days that are asked for; none where nothing says which, and none is extracted.

    Raises
    ------
    BadInputError
        The options contradict each other.
    """
    if day and (first or last):
        raise BadInputError("--day is one day, --from and --to are a range: give one or the other")
    if day:
        return [day.date()]
    end = last.date() if last else newest
    if end is None:
        return []
    span = timedelta(days=settings.policy.window_days - 1)
    start = first.date() if first else end - span
    if end < start:
        named = f"--to {end}" if last else f"{end}, the newest day that was extracted"
        raise BadInputError(f"--from {start} is after {named}: give the earlier day first")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def document(
    found: Sequence[QuarantinedDay],
    examples: Sequence[QuarantinedRow],
    problems: Sequence[str],
    reason: str | None = None,
) -> dict[str, Any]:
    """Give what was left out as JSON holds it."""
    return {
        "above_the_limit": list(problems),
        "days": [
            {
                "day": entry.day,
                "missing": entry.missing or None,
                "revision": entry.revision and entry.revision.revision,
                "rows": entry.revision and _rows_of(entry),
                "bad_rows": entry.revision and bad_rows(entry.revision.quarantine_counts),
                "quarantined": _counts(entry, reason),
                "sessions_of_erased_candidates": entry.erased_sessions,
            }
            for entry in found
        ],
        "reasons": {name: asdict(in_words(name)) for name in _totals(found, reason)},
        "examples": [asdict(row) for row in examples],
    }


def _print(
    found: Sequence[QuarantinedDay],
    examples: Sequence[QuarantinedRow],
    reason: str | None,
    timezone: ZoneInfo,
) -> None:
    print_table(
        [
            {"day": entry.day, "reason": name, "rows": n, "share": f"{n / _rows_of(entry):.2%}"}
            for entry in found
            for name, n in _counts(entry, reason).items()
        ],
        {"day": "Day", "reason": "Reason", "rows": "Rows", "share": "Share of the day"},
        title="Left out, by day and reason",
        empty=_nothing(found, reason),
    )
    for name, rows in _totals(found, reason).items():
        words = in_words(name)
        harmless = " It doesn't count as a bad row." if words.is_harmless else ""
        click.echo(
            f"\n{name}: {counted(rows, 'row')}\n  {words.meaning}{harmless}\n  {words.remedy}"
        )
        shown = [_example(row, timezone) for row in examples if row.reason == name]
        if shown:
            spelling = {"spelling": "As written"} if any("spelling" in row for row in shown) else {}
            print_table(shown, _EXAMPLE | spelling)
    for remark in remarks(found):
        say(remark)


def _example(row: QuarantinedRow, timezone: ZoneInfo) -> dict[str, Any]:
    return {
        "session": row.session or "–",
        "candidate": row.candidate or "–",
        "item": row.item_text,
        "answered": f"{row.answered_at.astimezone(timezone):%Y-%m-%d %H:%M:%S %Z}"
        if row.answered_at
        else f"– (day {row.day})",
        "result": row.result_text,
        **({} if row.spelling is None else {"spelling": row.spelling_text}),
    }


def remarks(found: Sequence[QuarantinedDay]) -> list[str]:
    """Say what the tables don't: days that can't be told of, and sessions that are in no count."""
    said = []
    for why in dict.fromkeys(entry.missing for entry in found if entry.missing):
        days = [entry.day for entry in found if entry.missing == why]
        said.append(f"{len(days)} of {len(found)} days: {why} ({days[0]} to {days[-1]})")
    if erased := sum(entry.erased_sessions for entry in found):
        said.append(f"{erased} sessions of erased candidates were left out, and are in no count")
    return said


def _nothing(found: Sequence[QuarantinedDay], reason: str | None) -> str:
    extracted = [entry for entry in found if entry.revision]
    if not extracted:
        return "None of these days has been extracted." if found else "No day was extracted yet."
    what = f" as {reason}" if reason else ""
    rows = sum(map(_rows_of, extracted))
    return f"Nothing was left out{what} of {rows:,} rows on {len(extracted)} days."


def _rows_of(entry: QuarantinedDay) -> int:
    """Rows of a day's source, but for those of erased candidates."""
    revision = entry.revision
    return revision.response_count + sum(revision.quarantine_counts.values()) if revision else 0


def _counts(entry: QuarantinedDay, reason: str | None) -> dict[str, int]:
    counts = entry.revision.quarantine_counts if entry.revision else {}
    return {name: n for name, n in counts.items() if reason in (None, name)}


def _totals(found: Sequence[QuarantinedDay], reason: str | None) -> dict[str, int]:
    """Rows by reason over all days, the most frequent first."""
    total: Counter[str] = Counter()
    for entry in found:
        total.update(_counts(entry, reason))
    return dict(sorted(total.items(), key=lambda counted: (-counted[1], counted[0])))
