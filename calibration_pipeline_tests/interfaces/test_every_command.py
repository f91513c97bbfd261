"""What holds of every command: tables and JSON say the same, errors are one line, 60 columns do.

A new command fails here until it has a line in `READING`, `ACTING` or `WITHOUT_TABLE`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from calibration_pipeline.interfaces.cli import console
from calibration_pipeline_tests.interfaces.calibrated_commands import (
    calibrated,
    loaded_template,
    on_programme,
)
from calibration_pipeline_tests.interfaces.cli.commands import walk
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.programme import LAST, Programme

__all__ = ["calibrated", "loaded_template", "on_programme"]

ITEM, RUN = "ITEM", "RUN"
READING: dict[str, tuple[str, ...]] = {
    "status": (),
    "quarantine": (),
    "readiness": (),
    "runs list": (),
    "runs show": (RUN,),
    "snapshots list": (),
    "snapshots show": ("current",),
    "snapshots diff": ("7", "8"),
    "snapshots drafts": (),
    "snapshots moves": (),
    "anchors list": (),
    "anchors show": ("current",),
    "anchors diff": ("1", "1"),
    "priors list": (),
    "cold-start": (),
    "item": (ITEM,),
    "flags list": ("--all",),
    "flags show": (ITEM,),
    "leaks": (),
    "tokens list": (),
}
"""Commands that print a table and change nothing, with arguments for which they have one."""
ACTING = {
    "fit", "link", "doctor", "db backup", "db restore", "db roles", "db status", "import-bank",
    "import-responses", "night", "backfill", "snapshots drafts show", "snapshots promote",
    "anchors select", "anchors activate", "priors fit", "priors show", "exposure", "forget",
    "simulate", "tokens issue", "retention", "alerts test",
}  # fmt: skip
"""Commands with `--json` that write, take long, or need what the programme lacks: each has its own
file of tests, which reads its JSON."""
WITHOUT_TABLE = {
    "demo", "db accept-key", "db start", "db stop", "db url", "migrate", "snapshots export",
    "snapshots freeze", "snapshots thaw", "flags acknowledge", "flags dismiss", "flags reopen",
    "flags retire", "api", "tokens revoke", "ui", "completion",
}  # fmt: skip
COMMANDS = {" ".join(path): command for path, command in walk()}
CODE = re.compile(r"\b(?:\d{4}-\d\d-\d\d|item-\d+)\b")
NUMBER = re.compile(r"(?<![\w.-])-?\d+\.\d{3}(?![\d%])")


def runnable() -> dict[str, click.Command]:
    return {
        name: command
        for name, command in COMMANDS.items()
        if not isinstance(command, click.Group) or command.invoke_without_command
    }


@pytest.fixture
def arguments(calibrated: Programme) -> dict[str, str]:
    """What the placeholders in `READING` stand for."""
    item = calibrated.scalar(
        "SELECT item_id FROM calibration.flags ORDER BY is_credible DESC, item_id LIMIT 1"
    )
    return {
        ITEM: item,
        RUN: str(calibrated.scalar("SELECT min(run_id::text) FROM calibration.runs")),
    }


def call(name: str, arguments: dict[str, str]) -> list[str]:
    return [*name.split(), *(arguments.get(word, word) for word in READING[name])]


def test_every_command_is_in_one_of_the_lists() -> None:
    lists = [set(READING), ACTING, WITHOUT_TABLE]
    assert set.union(*lists) == set(runnable())
    assert sum(map(len, lists)) == len(runnable())


def test_what_prints_a_table_takes_json() -> None:
    takes = {
        name
        for name, command in runnable().items()
        if any("--json" in option.opts for option in command.params)
    }
    assert takes == set(READING) | ACTING


def leaves(value: Any) -> Iterator[Any]:
    """Keys and values of a JSON document."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from leaves(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from leaves(entry)
    else:
        yield value


@pytest.mark.parametrize("name", READING)
def test_the_json_holds_what_the_table_shows_and_a_narrow_terminal_cuts_no_id(
    on_programme: Calibrate, arguments: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = on_programme(*call(name, arguments))
    document = on_programme(*call(name, arguments), "--json")
    assert table.exit_code == document.exit_code
    assert table.exit_code in (0, 1), table.output
    found = list(leaves(json.loads(document.stdout)))
    text = " ".join(str(value) for value in found)
    rows = "\n".join(line for line in table.stdout.splitlines() if "│" in line)
    for shown in set(CODE.findall(rows)):
        assert shown in text, f"the JSON lacks {shown}"
    numbers = {f"{value:.3f}" for value in found if isinstance(value, int | float)}
    assert set(NUMBER.findall(rows)) <= numbers
    monkeypatch.setattr(console, "_PIPE_WIDTH", 60)
    narrow = on_programme(*call(name, arguments))
    assert narrow.exit_code == table.exit_code
    drawn = [line for line in narrow.stdout.splitlines() if set(line) & set("│┃━┤└")]
    assert max(map(len, drawn), default=0) <= 60
    assert set(CODE.findall(narrow.stdout)) >= set(CODE.findall(table.stdout))


WRONG = [
    *((*name.split(), "--no-such-option") for name in runnable()),
    *((name, "no-such-command") for name in ("flags", "snapshots", "db", "anchors", "runs")),
    ("no-such-command",),
    ("--no-such-option",),
    ("item",),
    ("item", "nobody"),
    ("leaks", "nobody"),
    ("flags", "show", "nobody"),
    ("flags", "dismiss", "nobody", "--reason", "x"),
    ("flags", "list", "--reason", "nothing"),
    ("snapshots", "show", "999"),
    ("snapshots", "diff", "1", "newest"),
    ("snapshots", "export", "999", "--out", "x.csv"),
    ("snapshots", "promote", "1"),
    ("snapshots", "drafts", "show", "999"),
    ("anchors", "show", "999"),
    ("runs", "show", "nothing"),
    ("night", "--date", "yesterday"),
    ("backfill", "--from", "2026-13-01"),
    ("import-bank", "no-such-file.csv"),
    ("import-responses", "no-such-file.csv"),
    ("fit", "no-such-file.csv", "--model", "2PL", "--out", "fitted"),
    ("link", "--new", "no-such-file.csv", "--reference", "neither.csv"),
    ("db", "restore", "no-such-folder"),
    ("completion", "csh"),
    ("tokens", "revoke", "nothing"),
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_input_ends_in_one_line_with_exit_code_2(
    on_programme: Calibrate, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = on_programme(*words)
    assert ended.exit_code == 2, ended.output
    assert ended.stdout == ""
    line = ended.stderr.rstrip("\n")
    assert line.startswith("error: ")
    assert "\n" not in line
    assert re.search(r"`calibrate|: \S|; \S", line), "it says no next step"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in READING if name not in ("readiness", "status")])
def test_without_a_database_the_line_says_what_to_do(
    on_programme: Calibrate, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that can't be reached: exit code 1, for the command was right."""
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    ended = on_programme(*call(name, {ITEM: "x", RUN: "x"}))
    assert ended.exit_code == 1
    assert ended.stderr.count("\n") == 1
    assert "CALIBRATION_DATABASE_URL" in ended.stderr


def test_the_programme_was_calibrated_to_its_end(calibrated: Programme) -> None:
    """Otherwise the tables above would be empty, and their tests would say nothing."""
    assert calibrated.scalar("SELECT max(partition) FROM calibration.snapshots") == LAST
