"""The `calibrate` command: its table of commands, and how it ends.

Exit codes: 0 done; 1 it ran, but the answer is no (a database that can't be reached, a night that
was blocked); 2 the command or its input is wrong; 130 interrupted.
"""

import click

from calibration_pipeline.interfaces.cli.lazy import CommandEntry, LazyGroup

_HERE = "calibration_pipeline.interfaces.cli"

# One line per command, in the order of `calibrate --help`. A module is imported when its command
# is called, so that help answers at once.
COMMANDS = {
    "demo": CommandEntry(f"{_HERE}.demo:demo", "All of it, embedded, on a simulated pool."),
    "fit": CommandEntry(f"{_HERE}.fit:fit", "Fit a table of answers; no database needed."),
    "link": CommandEntry(f"{_HERE}.link:link", "Bring a table of items onto another's scale."),
    "doctor": CommandEntry(f"{_HERE}.doctor:doctor", "Check this installation before a first run."),
    "db": CommandEntry(f"{_HERE}.db:db", "The embedded PostgreSQL; roles and backups."),
    "migrate": CommandEntry(f"{_HERE}.data:migrate", "Create or upgrade the tables."),
    "import-bank": CommandEntry(f"{_HERE}.data:import_bank", "Add items to the bank."),
    "import-responses": CommandEntry(f"{_HERE}.data:import_responses", "Add answers to the log."),
    "readiness": CommandEntry(
        f"{_HERE}.readiness:readiness", "Whether there are enough answers, and when."
    ),
    "night": CommandEntry(f"{_HERE}.nights:night", "Calibrate one night."),
    "backfill": CommandEntry(f"{_HERE}.nights:backfill", "Calibrate a range of nights in order."),
    "status": CommandEntry(f"{_HERE}.status:status", "How the programme stands this morning."),
    "quarantine": CommandEntry(
        f"{_HERE}.quarantine:quarantine", "Rows that were left out, why, and what to do."
    ),
    "runs": CommandEntry(f"{_HERE}.runs:runs", "The run log: who ran which night, how it ended."),
    "snapshots": CommandEntry(
        f"{_HERE}.snapshots:snapshots", "Published versions, and which one is in force."
    ),
    "anchors": CommandEntry(
        f"{_HERE}.anchors:anchors", "The items that hold the scale: select, compare, activate."
    ),
    "priors": CommandEntry(
        f"{_HERE}.priors:priors", "Priors of new items, learned from calibrated ones."
    ),
    "cold-start": CommandEntry(
        f"{_HERE}.cold_start:cold_start", "Items that few answers tell of, and where to show them."
    ),
    "item": CommandEntry(f"{_HERE}.item:item", "One item's whole story: why was it flagged?"),
    "flags": CommandEntry(f"{_HERE}.flags:flags", "Flagged items: the evidence, and decisions."),
    "leaks": CommandEntry(
        f"{_HERE}.leaks:leaks", "Suspected leaks, and how soon one would be found."
    ),
    "exposure": CommandEntry(
        f"{_HERE}.exposure:exposure", "How often items may be given, so that few see them."
    ),
    "forget": CommandEntry(f"{_HERE}.forget:forget", "Forget a candidate, or erase the answers."),
    "retention": CommandEntry(
        f"{_HERE}.retention:retention", "Delete what is past its retention period."
    ),
    "simulate": CommandEntry(
        f"{_HERE}.simulate:simulate", "Write a bank and a response log with known truth."
    ),
    "api": CommandEntry(f"{_HERE}.api:api", "Serve versions, flags and calibrations over HTTP."),
    "tokens": CommandEntry(f"{_HERE}.tokens:tokens", "Who may call the HTTP service."),
    "alerts": CommandEntry(
        f"{_HERE}.alerts:alerts", "Who is told of failed runs and overdue nights."
    ),
    "ui": CommandEntry(f"{_HERE}.ui:ui", "Open Dagster's web interface on this machine."),
    "completion": CommandEntry(
        f"{_HERE}.completion:completion", "Print the script that completes commands in a shell."
    ),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="calibration-pipeline", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback behind an error's one line.")
def main(debug: bool) -> None:
    """Re-calibrate the items of an adaptive test, night by night.

    Example: calibrate demo
    """
    del debug  # LazyGroup reads it where errors end
