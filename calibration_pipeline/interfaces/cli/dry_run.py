"""What `--dry-run` prints: everything that a night would come to."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.console import print_json, print_table, progress, say
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.nights import flags_line, step_reporter
from calibration_pipeline.interfaces.cli.stale_nights import stale_summary
from calibration_pipeline.settings import Settings

if TYPE_CHECKING:
    from calibration_pipeline.orchestration.dry_run import RehearsedNight

_SHOWN = 10
"""Movers that a table shows; the JSON has them all."""


def rehearse(
    settings: Settings, first: date, last: date, *, refresh: bool, as_json: bool
) -> list[RehearsedNight]:
    """Run nights without a trace and print what they would come to; give them back."""
    with progress("Starting", total=None):
        from calibration_pipeline.definitions import dry_run_definitions, open_dry_run_store
        from calibration_pipeline.orchestration.dry_run import STEPS, rehearse_nights
    store = open_dry_run_store(settings)
    with progress("Rehearsing", total=((last - first).days + 1) * len(STEPS)) as bar:
        definitions = dry_run_definitions(settings, store, step_reporter(bar))
        nights = rehearse_nights(definitions, store, first, last, refresh=refresh)
    staleness = store.staleness()
    store.engine.dispose()
    if as_json:
        print_json(
            [
                document(night) | {"stale_after_it": stale_summary(staleness, _day_after(night))}
                for night in nights
            ]
        )
    else:
        for night in nights:
            _print_night(night)
    if stale := staleness.describe(since=first):
        say(f"After that {stale}")
    say("A dry run: nothing was written.")
    return nights


def document(night: RehearsedNight) -> dict[str, Any]:
    """Give a rehearsed night as JSON holds it; it begins like that of a real one."""
    outcome, state, version = night.outcome, night.state, night.version
    publication = version.publication if version else None
    return {
        "night": outcome.partition,
        "outcome": outcome.outcome,
        **outcome.counts,
        "seconds": sum(outcome.timings.values()),
        "reason": outcome.reason,
        "dry_run": True,
        "is_accepted": state.is_accepted if state else None,
        "verdict": list(state.reasons) if state else [],
        "attempt": state.attempt if state else None,
        "state_digest": state.digest if state else None,
        "content_digest": version.stored.content_digest if version else None,
        "publication": asdict(publication) if publication else None,
        "items": [
            {"source": source, "track": track, "items": number}
            for (source, track), number in night.item_counts().items()
        ],
        "flags": [
            {"reason": reason, "credible": credible, "all": number}
            for reason, (credible, number) in night.flag_counts().items()
        ],
        "links": [asdict(link) for link in night.links],
        "audit": [asdict(finding) for finding in night.findings],
        "movers": [
            {
                "item_id": mover.key[0],
                "content_version": mover.key[1],
                "before": mover.before,
                "after": mover.after,
                "change": mover.change,
            }
            for mover in night.movers
        ],
    }


def _print_night(night: RehearsedNight) -> None:
    shown = document(night)
    print_facts(f"Night {shown['night']} (dry run)", _facts(night, shown))
    tables: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("items", "Items", {"source": "Source", "track": "Track", "items": "Items"}),
        (
            "flags",
            "Thresholds crossed tonight",
            {"reason": "Reason", "all": "Items", "credible": "Credibly"},
        ),
        (
            "links",
            "Links",
            {"scale": "Scale", "slope": "Slope", "intercept": "Intercept", "anchors_used": "Used"},
        ),
        ("audit", "Audit", {"rule": "Rule", "passed": "Passed", "detail": "Detail"}),
        (
            "movers",
            f"Largest changes of difficulty against `current`, of {len(night.movers):,}",
            {"item_id": "Item", "before": "Before", "after": "After", "change": "Change"},
        ),
    )
    for name, title, columns in tables:
        if shown[name]:
            rows = shown[name][:_SHOWN] if name == "movers" else shown[name]
            click.echo()
            print_table(rows, columns, title=title)
    click.echo()


def _facts(night: RehearsedNight, shown: dict[str, Any]) -> dict[str, Any]:
    publication = night.version.publication if night.version else None
    facts = {
        "outcome": shown["outcome"],
        "reason": shown["reason"] or "none",
        "verdict": "; ".join(shown["verdict"]) or ("accepted" if shown["is_accepted"] else "none"),
        **night.outcome.counts,
        "flags": flags_line(night.outcome.counts) or "none looked for",
        "attempt": shown["attempt"],
        "state digest": shown["state_digest"],
    }
    if publication is None:
        return facts | {"version": "none would be published"}
    stands = "would be published" if publication.is_new else "says the same already, and stands"
    facts["version"] = f"{publication.version} {stands}"
    facts["content digest"] = shown["content_digest"]
    facts["current"] = "none" if publication.current is None else publication.current
    if publication.held_back:
        facts["held back"] = publication.held_back
    return facts


def _day_after(night: RehearsedNight) -> date:
    return night.outcome.partition + timedelta(days=1)
