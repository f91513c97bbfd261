"""How the command line finds its commands and how it ends."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner, Result

from calibration_pipeline.errors import BadInputError, LockHeldError
from calibration_pipeline.interfaces.cli import COMMANDS, main
from calibration_pipeline.interfaces.cli.lazy import CommandEntry, LazyGroup
from calibration_pipeline_tests.interfaces.cli.commands import walk
from calibration_pipeline_tests.processes import PATIENCE_SECONDS


@click.command()
@click.argument("ending")
def end(ending: str) -> None:
    if ending == "input":
        raise BadInputError("bank.csv has no column item_id:\n  add it")
    if ending == "escape":
        raise BadInputError("bank.csv, row 1: \x1b[2J\x07 is no number")
    if ending == "lock":
        raise LockHeldError("another calibration is running: wait for it")
    if ending == "interrupt":
        raise KeyboardInterrupt
    if ending == "bug":
        raise ZeroDivisionError
    click.echo("done")


@click.group(
    cls=LazyGroup,
    entries={
        "end": CommandEntry(f"{__name__}:end", "End in some way."),
        "wrong": CommandEntry(f"{__name__}:Result", "Not a command."),
        "absent": CommandEntry("no_such_module:command", "Not even a module."),
    },
)
@click.option("--debug", is_flag=True)
def group(debug: bool) -> None:
    pass


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, arguments)


@pytest.mark.parametrize(
    ("ending", "exit_code", "line"),
    [
        ("well", 0, ""),
        ("input", 2, "error: bank.csv has no column item_id: add it\n"),
        ("escape", 2, "error: bank.csv, row 1: [2J is no number\n"),
        ("lock", 1, "error: another calibration is running: wait for it\n"),
        ("interrupt", 130, "interrupted\n"),
    ],
)
def test_an_error_that_can_be_mended_ends_in_one_line(
    ending: str, exit_code: int, line: str
) -> None:
    result = run("end", ending)
    assert (result.exit_code, result.stderr) == (exit_code, line)


def test_debug_shows_the_traceback_before_the_line() -> None:
    result = run("--debug", "end", "lock")
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("error: another calibration is running: wait for it\n")


def test_a_bug_is_not_dressed_up() -> None:
    assert isinstance(run("end", "bug").exception, ZeroDivisionError)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("fly").exit_code == 2


def test_help_lists_commands_without_importing_them() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Not even a module." in result.output


def test_an_entry_that_leads_to_no_command_is_a_bug() -> None:
    assert isinstance(run("wrong").exception, TypeError)


def test_names_are_completed_from_the_table() -> None:
    context = click.Context(group)
    assert [item.value for item in group.shell_complete(context, "a")] == ["absent"]
    assert "--debug" in [item.value for item in group.shell_complete(context, "--d")]


@pytest.mark.parametrize("path", [path for path, _ in walk()], ids=" ".join)
def test_every_command_has_an_example_in_its_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert f"calibrate {' '.join(path)}" in result.output.partition("Example")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_fits_on_one_line(name: str) -> None:
    assert len(COMMANDS[name].summary) <= 60


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As in `calibrate --help | true`."""
    program = (
        "import os, sys\n"
        "from calibration_pipeline.interfaces.cli import main\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "main(['--help'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.stderr == ""


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant() -> None:
    result = CliRunner().invoke(main, ["itme", "x"])
    assert result.exit_code == 2
    assert "No such command 'itme'" in result.stderr
    assert "did you mean item?" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    nested = CliRunner().invoke(main, ["db", "bakcup"])
    assert nested.stderr == (
        "error: No such command 'bakcup': did you mean backup? Otherwise see `main db --help`\n"
    )
    assert "did you mean" not in CliRunner().invoke(main, ["zzzz"]).stderr


def test_a_mistyped_option_is_answered_with_the_one_that_was_meant() -> None:
    result = CliRunner().invoke(main, ["flags", "list", "--jsn"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: No such option ")
    assert result.stderr.count("--jsn") == 1
    assert (
        ": did you mean --json or --reason? Otherwise see `main flags list --help`" in result.stderr
    )
    assert result.stderr.lower().count("did you mean") == 1
