"""``calibrate priors fit``: learn priors now."""

from datetime import datetime

import click

from calibration_pipeline.errors import ItemPriorError
from calibration_pipeline.interfaces.cli.console import json_option, print_json, progress, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.interfaces.cli.priors.showing import document_of, print_fit
from calibration_pipeline.settings import load_settings


@click.command()
@click.option(
    "--as-of",
    type=DAY,
    help="Learn from the newest accepted night up to this one.  [default: of all]",
)
@click.option("--dry-run", is_flag=True, help="Store nothing.")
@json_option
def fit(as_of: datetime | None, dry_run: bool, as_json: bool) -> None:
    """Learn the priors of new items from the newest accepted night, and store them.

    Nights after that one use them for items without enough answers. A fit that fails its checks is
    stored as rejected, nights keep the version before it, and the exit code is 1. Needs the extra
    `bayes`; takes a minute for thousands of items.

    Example: calibrate priors fit --dry-run
    """
    with configured_database() as database:
        # Here, and not above: SciPy takes longer to import than `--help` may.
        from calibration_pipeline.orchestration.item_prior_fitting import fit_item_priors

        with progress("Learning from calibrated items") as reporter:
            found = fit_item_priors(
                database,
                load_settings().policy,
                fitted_by=operator_name(),
                as_of=as_of.date() if as_of else None,
                keep=not dry_run,
                tell=reporter.reach,
            )
    document = document_of(found.fit)
    if as_json:
        print_json(document)
    else:
        print_fit(document)
    if not found.fit.is_accepted:
        raise ItemPriorError(
            f"these priors are not used: {'; '.join(found.fit.reasons)}; what to do about it is in "
            "docs/new-items.md"
        )
    if dry_run:
        say("Nothing was stored.")
    elif found.is_new:
        say(f"Stored as number {found.fit.number}; used from {found.fit.effective_from} on.")
    else:
        say(f"Number {found.fit.number} says the same already; nothing is stored twice.")
