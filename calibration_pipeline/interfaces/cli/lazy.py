"""A command group that imports a command only when it is called, and ends errors in one line."""

import importlib
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import IO, Any

import click
from click.shell_completion import CompletionItem

from calibration_pipeline.errors import BadInputError, CalibrationError

_NEAR = 2
"""Names that are offered at most in the place of a mistyped one."""


@dataclass(frozen=True)
class CommandEntry:
    """Where a command lives, and the line that describes it in the list of commands."""

    target: str
    summary: str

    def load(self) -> click.Command:
        """Import ``module:attribute`` and give the command that stands there."""
        module_name, attribute = self.target.split(":")
        command = getattr(importlib.import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.target} is not a click command")
        return command


class OneLineError(click.ClickException):
    """Ends the program with one line on stderr and the exit code of its class."""

    def __init__(self, message: str) -> None:
        # What files, databases and operators say may hold anything, escape sequences included.
        plain = "".join(c if c.isprintable() else " " for c in message)
        super().__init__(" ".join(plain.split()))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(self.message, file=file, err=file is None)


class RefusedError(OneLineError):
    """The command ran, but the answer is no."""

    exit_code = 1


class WrongInputError(OneLineError):
    """The command or what it was given is wrong."""

    exit_code = 2


class StoppedError(OneLineError):
    """Somebody pressed Ctrl-C."""

    exit_code = 130


@contextmanager
def usage_in_one_line() -> Iterator[None]:
    """Turn click's complaint about a wrong option or argument into one line with the next step.

    Raises
    ------
    WrongInputError
        In place of a `click.UsageError`; but for that of a group called by its bare name, which
        prints its help.
    """
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "calibrate"
        # Some releases of click say what was meant, too: once is enough.
        has_said = hasattr(error, "possibilities")
        what = (error.message if has_said else error.format_message()).rstrip(".")
        raise WrongInputError(f"error: {what}: {_meant(error)}see `{path} --help`") from error


def _meant(error: click.UsageError) -> str:
    """Name the commands or options that a mistyped one resembles; empty where there are none."""
    near = list(getattr(error, "possibilities", None) or ())[:_NEAR]
    group = error.ctx.command if error.ctx else None
    wrong = re.fullmatch(r"No such command '(.*)'\.", error.message)
    if error.ctx is not None and wrong and isinstance(group, click.Group):
        near = get_close_matches(wrong[1], group.list_commands(error.ctx), n=_NEAR)
    return f"did you mean {' or '.join(near)}? Otherwise " if near else ""


class LazyGroup(click.Group):
    """A group whose commands are named in a table and imported on demand."""

    def __init__(self, *args: Any, entries: Mapping[str, CommandEntry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options of the program itself; what is wrong with them ends in one line."""
        with usage_in_one_line():
            return super().make_context(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the table's order, which is the order of use."""
        return [*self.entries, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the named command; None where the table lacks it."""
        entry = self.entries.get(cmd_name)
        return super().get_command(ctx, cmd_name) if entry is None else entry.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table alone: the inherited method would import them all."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names from the table alone, and options as usual."""
        names = [
            CompletionItem(name, help=entry.summary)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that a person can mend ends in one line.

        Raises
        ------
        WrongInputError
            In place of a `BadInputError`: exit code 2.
        RefusedError
            In place of any other `CalibrationError`: exit code 1.
        StoppedError
            In place of a `KeyboardInterrupt`: exit code 130.
        WrongInputError
            In place of click's five lines on a wrong option or argument, too.
        """
        try:
            with usage_in_one_line():
                return super().invoke(ctx)
        except CalibrationError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            ending = WrongInputError if isinstance(error, BadInputError) else RefusedError
            raise ending(f"error: {error}") from error
        except KeyboardInterrupt:
            raise StoppedError("interrupted") from None
