"""The command: its options, and the order of what it does."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from calibration_pipeline.errors import BadInputError, ExposureNotReachedError
from calibration_pipeline.interfaces.cli.console import json_option, progress, say
from calibration_pipeline.interfaces.cli.exposure.options import FiniteRange, require_usable
from calibration_pipeline.interfaces.cli.exposure.settings import configured_exposure
from calibration_pipeline.interfaces.cli.exposure.showing import (
    document_of,
    show,
    write_chart,
    write_probabilities,
)
from calibration_pipeline.interfaces.cli.exposure.sources import (
    ExposureSource,
    file_source,
    standing_control,
    store_control,
    version_source,
)
from calibration_pipeline.policy.exposure_configuration import METHODS, ExposureConfiguration

if TYPE_CHECKING:
    from calibration_pipeline.records import ScaleExposure

_FILE = click.Path(path_type=Path)
_POSITIVE = click.IntRange(min=1)
_SHARE = FiniteRange(0, 1, min_open=True)
_ABOVE_0 = FiniteRange(min=0, min_open=True)
_FROM_0 = FiniteRange(min=0)
_NUMBER = FiniteRange()
_SETTING = "[default: the setting]"

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--items", type=_FILE, help="A file of items. [default: a published version]"),
    click.option("--version", type=_POSITIVE, help="Which version. [default: the one in force]"),
    click.option("--scale", help="Of the version's items, where it has several scales."),
    click.option("--scaling-constant", "--D", type=_ABOVE_0, help=f"D of the file. {_SETTING}"),
    click.option("--max-rate", type=_SHARE, help=f"Share of candidates. {_SETTING}"),
    click.option("--answers", type=_POSITIVE, help=f"Items of a test. {_SETTING}"),
    click.option("--top", type=_POSITIVE, help=f"An item is drawn from so many best. {_SETTING}"),
    click.option(
        "--weighted/--all-alike", default=None, help=f"Draw them by their information. {_SETTING}"
    ),
    click.option(
        "--enough-sd", type=_FROM_0, help=f"A test ends once ability is known so well. {_SETTING}"
    ),
    click.option(
        "--least-answers", type=_POSITIVE, help=f"But not before so many items. {_SETTING}"
    ),
    click.option("--mean", type=_NUMBER, help="Of the abilities. [default: the version's, or 0]"),
    click.option("--sd", type=_ABOVE_0, help="Of the abilities. [default: the version's, or 1]"),
    click.option(
        "--cut", "cuts", type=_NUMBER, multiple=True,
        help=f"Between two levels of ability with rates of their own; repeatable. {_SETTING}",
    ),
    click.option(
        "--method", type=click.Choice([name for name in METHODS if name != "off"]),
        help="How the probabilities are found. [default: the setting, or eligibility]",
    ),
    click.option("--candidates", type=_POSITIVE, help=f"Simulated in a last cycle. {_SETTING}"),
    click.option("--verifying-candidates", type=_POSITIVE, help=f"Who judge. {_SETTING}"),
    click.option(
        "--tolerance", type=_FROM_0, help=f"How far above the maximum, in relation. {_SETTING}"
    ),
    click.option("--iterations", type=_POSITIVE, help=f"Sympson-Hetter. {_SETTING}"),
    click.option("--damping", "--alpha", type=_SHARE, help=f"Sympson-Hetter. {_SETTING}"),
    click.option("--floor", type=_SHARE, help=f"Sympson-Hetter. {_SETTING}"),
    click.option("--ceiling", type=_SHARE, help=f"Sympson-Hetter. {_SETTING}"),
    click.option(
        "--seed", type=click.IntRange(min=0), help="Any number. [default: the version's own, or 0]"
    ),
)  # fmt: skip


def _described_options(command: _Command) -> _Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@_described_options
@click.option("--dry-run", is_flag=True, help="Store nothing for the version.")
@click.option("--out", type=_FILE, help="CSV file for the probabilities.")
@click.option("--plot", type=_FILE, help="SVG file: information lost by maximum rate.")
@click.option("--force", is_flag=True, help="Replace these files.")
@json_option
def exposure(
    dry_run: bool, out: Path | None, plot: Path | None, force: bool, as_json: bool, **options: Any
) -> None:
    """Find with what probability each item may be given, so that few candidates see it.

    Candidates are simulated who take a test of the items, and items that too many of them see are
    held back. A last simulation of others says what was reached, and what it costs in precision.
    The probabilities of a published version are stored with it, where test engines read them;
    those of a file are stored nowhere. An engine draws once per candidate and item whether the
    item is open to the candidate.

    Example: calibrate exposure --max-rate 0.2 --answers 30 --dry-run
    """
    require_usable([file for file in (out, plot) if file is not None], force)
    configuration, rate = configured_exposure(options)
    source = version_source(options) if options["items"] is None else file_source(options)
    started = time.perf_counter()
    control, attempt = standing_control(source, configuration, rate), None
    if control is not None:
        say(f"Version {source.version} has this already; nothing is stored twice.")
    else:
        control = _found(source, configuration, rate)
        if control.is_reached and source.version is not None and not dry_run:
            attempt = store_control(source.version, control)
    document = document_of(control, source, attempt)
    show(document | {"seconds": time.perf_counter() - started}, as_json)
    if not control.is_reached:
        from calibration_pipeline.policy.exposure_shortfall import explain_shortfall

        raise ExposureNotReachedError(f"{explain_shortfall(control)}; nothing was written")
    if out is not None:
        write_probabilities(out, control)
        say(f"Probabilities: {out}")
    if plot is not None:
        write_chart(plot, source, configuration, rate)
        say(f"Chart: {plot}")


def _found(
    source: ExposureSource, configuration: ExposureConfiguration, rate: float
) -> "ScaleExposure":
    # Here, and not above: Numba takes longer to import than `--help` may.
    from calibration_pipeline.irt.exposure_control import UnreachableRateError
    from calibration_pipeline.policy.exposure_control import control_pool, steps_of

    with progress("Simulating candidates", steps_of(configuration)) as reporter:
        try:
            return control_pool(source.pool, configuration, rate, reporter.advance)
        except UnreachableRateError as error:
            raise BadInputError(f"{error}: allow a higher --max-rate or fewer --answers") from None
