"""All commands of the command line, found by walking through its groups."""

from collections.abc import Iterator

import click

from calibration_pipeline.interfaces.cli import main


def command_paths() -> list[tuple[str, ...]]:
    """Give the words behind `calibrate` of every command that can be run."""
    return [path for path, command in walk() if not isinstance(command, click.Group)]


def walk(
    group: click.Group = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command and group below a group, with the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))
