"""``calibrate completion``: the script that lets a shell complete commands."""

from __future__ import annotations

import sys

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from calibration_pipeline.interfaces.cli.console import say

_PROGRAM, _VARIABLE = "calibrate", "_CALIBRATE_COMPLETE"
_INSTALL = {
    "bash": 'eval "$(calibrate completion bash)"   # at the end of ~/.bashrc; bash 4.4 or later',
    "zsh": 'eval "$(calibrate completion zsh)"    # at the end of ~/.zshrc, after compinit',
    "fish": "calibrate completion fish > ~/.config/fish/completions/calibrate.fish",
}
_SHELLS: dict[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_SHELLS)))
def completion(shell: str) -> None:
    """Print the script for SHELL: commands, options, items, versions and flags complete by Tab.

    On a terminal it says how to install it. Items and versions are asked of a database that runs
    already; none is started, and nothing is offered where none answers within two seconds.

    Example: eval "$(calibrate completion bash)"
    """
    from calibration_pipeline.interfaces.cli import main

    script = _SHELLS[shell](main, {}, _PROGRAM, _VARIABLE)
    # Not `script.source()`, which looks at the bash of this machine and warns on stdout.
    variables = {
        "complete_func": script.func_name,
        "complete_var": _VARIABLE,
        "prog_name": _PROGRAM,
    }
    click.echo(script.source_template % variables)
    if sys.stdout.isatty():
        say(f"To install it: {_INSTALL[shell]}")
