"""``calibrate forget``: cut the link to a candidate, or erase all that a candidate answered."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import BadInputError, CalibrationError
from calibration_pipeline.interfaces.cli.console import json_option, print_json, progress
from calibration_pipeline.interfaces.cli.database import configured_database, configured_source
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database
    from calibration_pipeline.store.forgetting import Forgetting, Forgotten
    from calibration_pipeline.store.telling import Tell

_FROM_STDIN = "-"


@click.command()
@click.argument("candidate", required=False)
@click.option("--erase", is_flag=True, help="Erase the candidate's answers as well.")
@click.option("--reapply", is_flag=True, help="Do all acts again, after a backup was restored.")
@click.option(
    "--decided-by", default="command line", show_default=True, help="For the log of such acts."
)
@json_option
def forget(
    candidate: str | None, erase: bool, reapply: bool, decided_by: str, as_json: bool
) -> None:
    """Remove the link from the pseudonym of CANDIDATE to the person, and the abilities.

    CANDIDATE is the id in the response log; with - it is read from standard input, so that it
    stands in no shell history. --erase also removes the answers: from the log, and from every
    archived day. There is no way back. Logged without the id; exit code 1 if nothing is kept under
    that id, or if there is no file of acts to --reapply. Running it again finishes what a crash has
    left.

    Example: echo "$CANDIDATE" | calibrate forget - --erase
    """
    if reapply == (candidate is not None) or (reapply and erase):
        raise BadInputError("give a candidate's id, or - to read it, or --reapply alone")
    chosen = "" if candidate is None else _id_of(candidate)
    if reapply:
        _require_remembered(load_settings().home / "forgotten")
    with configured_database() as database:
        if reapply:
            with progress("Forgetting again") as reporter:
                forgotten, erased = _forgetting(database, decided_by, reporter.reach).reapply()
            _print_reapplied(forgotten, erased, as_json=as_json)
            return
        with progress("Erasing" if erase else "Forgetting") as reporter:
            forgetting = _forgetting(database, decided_by, reporter.reach)
            done = forgetting.forget(chosen, erase=erase)
        facts = asdict(done) | {"nights_that_used_erased_answers": _touched_nights(database)}
    title = "Erased" if erase else "Forgotten"
    print_facts(title if done.candidates else f"{title} already", facts, as_json=as_json)


def _id_of(candidate: str) -> str:
    if candidate == _FROM_STDIN:
        lines = sys.stdin.read().splitlines()
        if len(lines) != 1:
            raise BadInputError(f"standard input has {len(lines)} lines: give one id on one line")
        candidate = lines[0]
    if not candidate.strip():
        raise BadInputError("the id is blank: give the candidate's id")
    return candidate


def _require_remembered(path: Path) -> None:
    if not path.exists():
        raise CalibrationError(
            f"there is no file `forgotten` in {path.parent}, so no act can be done again: put its "
            "copy there and repeat the command; where nobody was ever forgotten there is none, and "
            "nothing to do"
        )


def _forgetting(database: Database, decided_by: str, tell: Tell) -> Forgetting:
    from calibration_pipeline.store.archive_opening import open_archive
    from calibration_pipeline.store.forgetting import Forgetting
    from calibration_pipeline.store.pseudonym_keys import known_key
    from calibration_pipeline.store.sources.scratch_folder import scratch_folder

    settings = load_settings()
    secret = settings.pseudonym_key
    return Forgetting(
        database=database,
        archive=open_archive(settings.archive_place),
        key=known_key(
            None if secret is None else secret.get_secret_value(), settings.home, database
        ),
        remembered=settings.home / "forgotten",
        decided_by=decided_by,
        source=configured_source(),
        scratch=scratch_folder(settings.home),
        tell=tell,
    )


def _touched_nights(database: Database) -> int:
    from calibration_pipeline.store.deletions import nights_touched_by_erasure

    with database.connect() as connection:
        return len(nights_touched_by_erasure(connection))


def _print_reapplied(forgotten: Forgotten, erased: Forgotten, *, as_json: bool) -> None:
    parts: dict[str, dict[str, Any]] = {"forgotten": asdict(forgotten), "erased": asdict(erased)}
    if as_json:
        print_json(parts)
        return
    for name, facts in parts.items():
        print_facts(f"{name.capitalize()} again", facts)
