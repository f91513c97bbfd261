"""``calibrate readiness``: whether there are enough answers, and when there will be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.interfaces.cli.bad_days import bad_days_of
from calibration_pipeline.interfaces.cli.console import (
    json_option,
    print_json,
    print_table,
    progress,
    say,
)
from calibration_pipeline.interfaces.cli.database import configured_database, configured_source
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.quarantine_reasons import in_words
from calibration_pipeline.policy.readiness import (
    GroupReadiness,
    ItemOutlook,
    Readiness,
    assess_readiness,
    difficulties,
)
from calibration_pipeline.reports.templating import count_text, counted, item_text
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import ItemKey
    from calibration_pipeline.store.readiness import CountedAnswers, CountedDays

NEVER = "never at this rate"


@click.command()
@click.option("--date", "day", type=DAY, help="Last local day to count.  [default: yesterday]")
@click.option("--since", type=DAY, help="Before the first night: count in all from this day on.")
@click.option("--rows", type=click.IntRange(min=0), default=10, show_default=True,
              help="Content families, and items, to show.")  # fmt: skip
@json_option
def readiness(day: datetime | None, since: datetime | None, rows: int, as_json: bool) -> None:
    """Tell whether there is enough to calibrate, and when each item will have enough.

    By scale and content family: items with any answer, with enough in the window and with enough
    in all, and the anchors. Reads the newest state, the archive, and for days that no night has
    extracted the source of answers; changes nothing. The window ends with the newest day that has
    answers. Exit code 1 when no scale has enough items to be fitted.

    Example: calibrate readiness --rows 20
    """
    settings = load_settings()
    timezone = ZoneInfo(settings.timezone)
    newest = day.date() if day else datetime.now(timezone).date() - timedelta(days=1)
    with configured_database(create=False) as database:
        from calibration_pipeline.store.archive_opening import open_archive
        from calibration_pipeline.store.day_counts import CountingRule
        from calibration_pipeline.store.readiness import count_answers

        policy, source = settings.policy, configured_source(keep=False)
        with progress("Looking for answers") as reporter:
            found = count_answers(
                database,
                open_archive(settings.archive_place),
                source,
                timezone,
                CountingRule(policy.absent_outcomes, policy.minimum_session_answers),
                policy.window_days,
                first_day=settings.first_day,
                newest_day=newest,
                since=since.date() if since else None,
                tell=reporter.reach,
            )
        bad = bad_days_of(database, found.days.last, policy)
    for warning in source.warnings:
        say(warning)
    assessed = assess_readiness(
        found.bank,
        found.is_anchor,
        difficulties(found.bank, found.estimated_difficulty),
        found.counts,
        policy,
    )
    if as_json:
        print_json(document(assessed, found) | {"bad_days_in_window": bad})
    else:
        _print(assessed, found, policy, rows)
    for remark in bad:
        say(remark)
    if not assessed.can_calibrate:
        say(why_not(policy))
        raise click.exceptions.Exit(1)


def why_not(policy: CalibrationConfiguration) -> str:
    """Say why nothing can be calibrated."""
    return (
        f"nothing can be calibrated yet: a scale needs {policy.minimum_items_per_scale} items with "
        f"{policy.minimum_responses} answers or more in a window of {policy.window_days} days"
    )


def document(readiness: Readiness, found: CountedAnswers) -> dict[str, Any]:
    """Give the report as JSON holds it; days that never come are null."""
    last = found.days.last
    return {
        "can_calibrate": readiness.can_calibrate,
        "scales_that_can_be_fitted": list(readiness.fittable),
        "answers_in_window": int(found.counts.window.sum()),
        "counted": asdict(found.days),
        "scales": [_group(group) for group in readiness.scales],
        "families": [_group(group) for group in readiness.families],
        "items": [
            {
                "item_id": item.key[0],
                "content_version": item.key[1],
                **{name: value for name, value in asdict(item).items() if name != "key"},
                "eligible_on": crossing(last, item.days_to_eligible),
                "trusted_on": crossing(last, item.days_to_trusted),
            }
            for item in readiness.items
        ],
    }


def _group(group: GroupReadiness) -> dict[str, Any]:
    most = group.most_answered
    return asdict(group) | {"most_answered": most and item_text(most)}


def crossing(last: date, days: float) -> date | None:
    """Give the day on which a threshold is crossed; None if never, the last day if it has been."""
    return last + timedelta(days=int(days)) if math.isfinite(days) else None


def _print(
    readiness: Readiness, found: CountedAnswers, policy: CalibrationConfiguration, rows: int
) -> None:
    print_facts("Readiness", _facts(readiness, found))
    click.echo()
    few, many = policy.minimum_responses, policy.trust_threshold
    columns = {
        "items": "Items",
        "answered": "Any",
        "eligible": f"{few}+",
        "trusted": f"{many}+",
        "most": "Most answered",
        "anchors": "Anchors",
        "deciles": "Tenths",
    }
    print_table(
        [{"scale": group.scale, **_cells(group)} for group in readiness.scales],
        {"scale": "Scale", **columns},
        title=f"Items with any answer, with {few} in the window, with {many} in all; anchors that "
        "are ready, and tenths of the difficulties that they cover",
        empty="The bank is empty: `calibrate import-bank FILE` fills it.",
    )
    families = by_progress(readiness.families)
    if any(group.family for group in families):
        click.echo()
        print_table(
            [{"family": family_name(group, readiness.scales), **_cells(group)}
             for group in families[:rows]],
            {"family": "Family", **columns},
            title=_of_all("Content families", rows, len(families)),
        )  # fmt: skip
    _print_items(readiness.items, found.days.last, policy, rows)


def _facts(readiness: Readiness, found: CountedAnswers) -> dict[str, Any]:
    days = found.days
    facts: dict[str, Any] = {
        "window": f"{days.window_start} to {days.last}",
        "answers in the window": int(found.counts.window.sum()),
        "counted from": "; ".join(places(days)),
        "scales that can be fitted": ", ".join(readiness.fittable) or "none",
    }
    if days.since is not None:
        facts["in all"] = f"since {days.since}; `--since D` counts earlier days too"
    if days.left_out:
        facts["rows left out there"] = "; ".join(
            f"{count_text(rows)} {reason}{_as_written(days.spellings.get(reason, {}))}"
            for reason, rows in days.left_out.items()
        )
        bad = next((reason for reason in days.left_out if not in_words(reason).is_harmless), None)
        if bad is not None:
            facts["what to do"] = f"{bad}: {in_words(bad).remedy}"
    if days.undated_rows is not None:
        facts["rows that no night can take in"] = days.undated_rows
    return facts


def _as_written(spellings: Mapping[str, int]) -> str:
    """Name the texts that weren't understood; those that are each another one by two examples."""
    if not spellings:
        return ""
    common = {text: rows for text, rows in spellings.items() if rows > 1}
    named = [f"{text!r}: {count_text(rows)}" for text, rows in common.items()]
    return f" ({', '.join(named or [f'such as {text!r}' for text in list(spellings)[:2]])})"


def places(days: CountedDays) -> list[str]:
    """Say where the answers were counted."""
    found = [f"the state of {days.state}"] if days.state else []
    if days.from_archive:
        found.append(f"{counted(days.from_archive, 'day')} from the archive")
    if days.from_source:
        found.append(f"{counted(days.from_source, 'day')} from the source")
    if days.deleted:
        found.append(f"{counted(days.deleted, 'day')} not at all: the answers have been deleted")
    return found or ["no day with answers"]


def by_progress(groups: Sequence[GroupReadiness]) -> list[GroupReadiness]:
    """Put the groups that have come furthest first."""
    return sorted(groups, key=lambda g: (-g.trusted, -g.eligible, -g.answered, g.scale, g.family))


def family_name(group: GroupReadiness, scales: Sequence[GroupReadiness]) -> str:
    """Name a content family, with its scale where there are several."""
    name = group.family or "–"
    return name if len(scales) == 1 else f"{group.scale} / {name}"


def _cells(group: GroupReadiness) -> dict[str, Any]:
    most = group.most_answered
    return {
        "items": group.items,
        "answered": group.answered,
        "eligible": group.eligible,
        "trusted": group.trusted,
        "most": f"{_item_name(most)} ({count_text(group.most_answers)})" if most else "–",
        "anchors": f"{group.anchors_ready} of {group.anchors}",
        "deciles": f"{group.deciles_covered} of {group.deciles}",
    }


def _print_items(
    items: Sequence[ItemOutlook], last: date, policy: CalibrationConfiguration, rows: int
) -> None:
    near = [item for item in items if math.isfinite(item.next_crossing)]
    if near and rows:
        click.echo()
        print_table(
            [
                {
                    "item": _item_name(item.key),
                    "window": item.window_count,
                    "total": item.total_count,
                    "rate": f"{item.answers_a_day:.1f}",
                    "eligible": when(last, item.days_to_eligible),
                    "trusted": when(last, item.days_to_trusted),
                }
                for item in near[:rows]
            ],
            {
                "item": "Item",
                "window": "In window",
                "total": "In all",
                "rate": "A day",
                "eligible": f"{policy.minimum_responses} in window",
                "trusted": f"{policy.trust_threshold} in all",
            },
            title=_of_all("Items that are next to cross a threshold", rows, len(near)),
        )
    stuck = sum(math.isinf(item.days_to_eligible) for item in items)
    if stuck:
        say(
            f"{counted(stuck, 'item')} of {count_text(len(items))} will never have "
            f"{policy.minimum_responses} answers in a window at this rate; `--json` lists all"
        )


def when(last: date, days: float) -> str:
    """Say when a threshold is crossed."""
    if days == 0:
        return "yes"
    return NEVER if math.isinf(days) else str(crossing(last, days))


def _item_name(key: ItemKey) -> str:
    """Name an item; the version only of one that was edited."""
    return key[0] if key[1] == 1 else item_text(key)


def _of_all(title: str, shown: int, there_are: int) -> str:
    return title if there_are <= shown else f"{title}: {shown} of {count_text(there_are)}"
