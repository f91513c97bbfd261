"""An item's story as tables and plots on a screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.console import output_width, print_table, say
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.item_plots import curve_lines, trajectory_lines
from calibration_pipeline.interfaces.item_story import ItemStory, version_documents
from calibration_pipeline.policy.flag_meanings import MEANINGS
from calibration_pipeline.reports.templating import counted

if TYPE_CHECKING:
    from calibration_pipeline.policy.item_story import AnswerStory
    from calibration_pipeline.records import BankEntry, ItemVersion, ObservedProportions

_VERSIONS = {
    "version": "Version",
    "night": "Night",
    "a": "a ± SE",
    "b": "b ± SE",
    "c": "c ± SE",
    "moved": "b moved (SE)",
    "total_count": "Answers",
    "change": "What changed",
}
_FLAGS = {
    "reason": "Flag",
    "status": "Status",
    "opened_on": "Opened",
    "last_seen": "Last seen",
    "nights_seen": "Nights",
    "z": "z",
    "explanation": "What",
}
_EVIDENCE = {
    "since": "Since",
    "night": "To",
    "reason": "Flag",
    "value": "Value",
    "reference": "Against",
    "threshold": "Limit",
    "z": "z",
    "is_credible": "Credible",
}
_DECISIONS = {
    "decided_at": "Decided",
    "decision": "Decision",
    "about": "On",
    "decided_by": "By",
    "reason": "Reason",
}
_SAME_FINDING = ("value", "reference", "is_credible")
_PLOT_WIDTH, _PLOT_HEIGHT = 72, 12


def show_story(story: ItemStory, rows: int) -> None:
    """Print the story; of versions and evidence the newest `rows`."""
    item_id, version = story.entry.key
    print_facts(f"{item_id}@{version}", _about(story))
    _show_versions(story, rows)
    print_facts("Answers", _answers(story.answers))
    if story.missing:
        say(f"Some answers could not be read: {story.missing}")
    _show_flags(story, rows)
    if story.leak:
        print_facts("Leak watch", _leak(story.leak, story.observed))
    if story.exposure:
        print_facts("Exposure control", _exposure(story.exposure))
    for line in _plots(story):
        click.echo(line)


def _about(story: ItemStory) -> dict[str, Any]:
    """What the item is and how it stands."""
    entry, newest = story.entry, story.in_force
    facts: dict[str, Any] = {
        "standing": _standing(story),
        "scale": f"{entry.scale} ({entry.model})",
        "family": entry.content_family or "none",
        "options": entry.option_count or "not stated",
        "author's difficulty": _number(entry.author_difficulty),
        "imported a, b, c": _imported(entry),
        "in the bank since": f"{entry.added_at:%Y-%m-%d}",
    }
    if len(entry.content_versions) > 1:
        facts["content versions"] = ", ".join(map(str, entry.content_versions))
    if newest:
        facts["fit"] = f"infit {_fit(newest, 'infit')}, outfit {_fit(newest, 'outfit')}"
    return facts


def _imported(entry: BankEntry) -> str:
    values = (entry.discrimination, entry.difficulty, entry.guessing)
    if all(value is None for value in values):
        return "none"
    return ", ".join(_number(value) for value in values)


def _standing(story: ItemStory) -> str:
    parts = []
    if story.in_force:
        own = story.in_force.item
        parts.append(f"{own.track}, {own.source} in version {story.current}")
        parts += [f"{own.at_bound} at a bound"] if own.at_bound else []
    else:
        parts.append("not published yet")
    if story.anchor_set is not None:
        parts.append(f"anchor of set {story.anchor_set}")
    if story.retired_from:
        parts.append(f"retired from {story.retired_from} on")
    return "; ".join(parts)


def _fit(version: ItemVersion, name: str) -> str:
    value, error = getattr(version, name), getattr(version, f"{name}_se")
    if not math.isfinite(value):
        return "unknown"
    return f"{value:.2f} (z {(value - 1.0) / error:+.1f})" if error > 0.0 else f"{value:.2f}"


def _show_versions(story: ItemStory, rows: int) -> None:
    documents = version_documents(story)
    shown = [_version_row(row) for row in documents[::-1][:rows]]
    columns = dict(_VERSIONS)
    if not any(row["change"] for row in shown):
        del columns["change"]
    title = f"{len(shown)} of {len(documents)} versions, the newest first"
    print_table(shown, columns, title=title, empty="It is in no published version yet.")


def _version_row(row: dict[str, Any]) -> dict[str, Any]:
    def estimate(name: str) -> str:
        if row["source"] == "anchor":
            return f"{row[name]:.2f} held"
        return f"{row[name]:.2f} ± {row[f'{name}_se']:.2f}"

    by, errors = row["difficulty_by"], row["difficulty_in_standard_errors"]
    return row | {
        "version": f"{row['version']}{' current' if row['is_current'] else ''}",
        "a": estimate("discrimination"),
        "b": estimate("difficulty"),
        "c": estimate("guessing"),
        "moved": f"{by:+.2f} ({errors:+.1f})" if by else "",
        "change": row["change"].removeprefix("moved, ").removeprefix("moved"),
    }


def _answers(answers: AnswerStory) -> dict[str, Any]:
    """How many, since when, how many right, and when there will be enough."""
    right = answers.share_right
    trust = answers.days_to_trust
    share = answers.share_of_sessions
    return {
        "in the window": f"{answers.in_window:,}, as of {answers.night or 'no night yet'}",
        "in all": f"{answers.in_all:,}",
        "a day": f"{answers.a_day:.1f}",
        "seen by": "unknown" if share is None else f"{share:.1%} of the window's sessions",
        "days to trust": "trusted" if trust == 0 else trust or "never at this rate",
        "archived": f"given {answers.given:,} times, {answers.scored:,} scored",
        "first and last day": f"{answers.first_day} to {answers.last_day}" if answers.given else "",
        "right": "unknown" if right is None else f"{answers.right:,} ({right:.1%})",
    }


def _show_flags(story: ItemStory, rows: int) -> None:
    print_table(story.flags, _FLAGS, title="Flags", empty="It has not been flagged.")
    if story.evidence:
        runs = _evidence_runs(story.evidence)
        newest = runs[::-1][:rows]
        found = counted(len(runs), "finding")
        title = f"Evidence, {len(newest)} of {found}, the newest first"
        print_table(newest, _EVIDENCE, title=title)
    if story.decisions:
        shown = [
            row | {"decided_at": f"{row['decided_at']:%Y-%m-%d %H:%M}"} for row in story.decisions
        ]
        print_table(shown, _DECISIONS, title="Decisions")
    if story.flags:
        for reason in dict.fromkeys(row["reason"] for row in story.flags):
            click.echo(f"{reason}: {MEANINGS[reason]}.")
        decide = f"calibrate flags acknowledge|dismiss|retire {story.entry.key[0]} --reason TEXT"
        say(f"To decide: {decide}; what the flags mean in full: docs/flags.md.")


def _evidence_runs(evidence: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join nights on which the same was found of the same reason; the newest night's is shown."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in evidence:
        known = runs.setdefault(row["reason"], [])
        same = known and all(known[-1][name] == row[name] for name in _SAME_FINDING)
        since = known.pop()["since"] if same else row["night"]
        known.append(row | {"since": since})
    return sorted((row for known in runs.values() for row in known), key=itemgetter("night"))


def _leak(leak: dict[str, Any], observed: ObservedProportions | None) -> dict[str, Any]:
    if leak["is_suspected"]:
        verdict = f"suspected since {leak['onset_day']}, alarm on {leak['alarm_day']}"
    else:
        verdict = "no suspicion" if leak["is_watched"] else "not watched yet: too little is known"
    if not (leak["is_suspected"] or leak["is_watched"]):
        return {"verdict": verdict}
    delay, since = leak["delay_days"], observed.since_onset if observed else None
    return {
        "verdict": verdict,
        **({"answers": since.words} if since else {}),
        "log Λ": f"{leak['statistic']:.1f} of {_number(leak['threshold'])}",
        **({} if leak["is_suspected"] else {"a leak would be found": _delay(delay)}),
    }


def _delay(days: float | None) -> str:
    return "not in useful time" if days is None else f"in {days:.0f} nights"


def _exposure(levels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        _level(row): f"open with {row['probability']:.1%}; seen by {row['simulated_rate']:.1%} of "
        f"simulated candidates, {row['rate_without']:.1%} without control"
        for row in levels
    }


def _level(row: dict[str, Any]) -> str:
    low, high = row["theta_above"], row["theta_up_to"]
    if low is None and high is None:
        return "all candidates"
    ends = [
        *([] if low is None else [f"above {low:.1f}"]),
        *([] if high is None else [f"up to {high:.1f}"]),
    ]
    return f"ability {' '.join(ends)}"


def _plots(story: ItemStory) -> list[str]:
    width = min(output_width(), _PLOT_WIDTH)
    lines: list[str] = []
    if story.curve is not None:
        lines += curve_lines(
            story.curve, story.observed, story.scaling_constant, width, _PLOT_HEIGHT
        )
    if story.trajectory:
        lines += trajectory_lines(story.trajectory, story.held_at, width, _PLOT_HEIGHT)
    return lines


def _number(value: float | None) -> str:
    return "not stated" if value is None else f"{value:.2f}"
