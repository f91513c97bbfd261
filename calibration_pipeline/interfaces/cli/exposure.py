"""``calibrate exposure``: with what probability items may be given, found by simulation."""

import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import BadInputError, ExposureNotReachedError
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.settings import load_settings
from calibration_pipeline.store.private_files import private_file

if TYPE_CHECKING:
    from calibration_pipeline.irt.exposure_control import (
        AdaptiveTest,
        ExposureControl,
        ItemEligibility,
        SympsonHetter,
    )
    from calibration_pipeline.records import FloatArray

_FILE = click.Path(path_type=Path)
_POSITIVE = click.IntRange(min=1)
_SHARE = click.FloatRange(0, 1, min_open=True)
_TOLERANCE = 0.025
"""How far above the maximum, in relation to it, a rate may come out: chance moves it by 1.3%."""
_ROWS = 10


@click.command()
@click.option("--items", type=_FILE, help="A file of items. [default: a published version]")
@click.option("--version", type=_POSITIVE, help="Which version. [default: the one in force]")
@click.option("--scale", help="Of the version's items, where it has several scales.")
@click.option(
    "--scaling-constant", "--D", type=click.FloatRange(min=0, min_open=True),
    help="D of the file. [default: the setting]",
)  # fmt: skip
@click.option("--max-rate", type=_SHARE, help="Share of candidates. [default: the setting]")
@click.option("--answers", type=_POSITIVE, default=30, show_default=True, help="Items of a test.")
@click.option(
    "--top", type=_POSITIVE, default=5, show_default=True,
    help="An item is drawn from so many best; 1 takes the most informative.",
)  # fmt: skip
@click.option("--weighted", is_flag=True, help="Draw them by their information, not all alike.")
@click.option("--mean", type=float, default=0.0, show_default=True, help="Of the abilities.")
@click.option(
    "--sd", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
    help="Of the abilities.",
)  # fmt: skip
@click.option(
    "--cut", "cuts", type=float, multiple=True,
    help="Between two levels of ability with rates of their own; as often as wanted.",
)  # fmt: skip
@click.option(
    "--method", type=click.Choice(("eligibility", "sympson-hetter")), default="eligibility",
    show_default=True, help="How the probabilities are found.",
)  # fmt: skip
@click.option("--iterations", type=_POSITIVE, default=6, show_default=True, help="Sympson-Hetter.")
@click.option(
    "--damping", "--alpha", type=_SHARE, default=0.6, show_default=True, help="Sympson-Hetter."
)
@click.option("--floor", type=_SHARE, default=0.02, show_default=True, help="Sympson-Hetter.")
@click.option("--ceiling", type=_SHARE, default=1.0, show_default=True, help="Sympson-Hetter.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Any number."
)
@click.option("--out", type=_FILE, help="CSV file for the probabilities.")
@click.option("--force", is_flag=True, help="Replace that file.")
@json_option
def exposure(out: Path | None, force: bool, as_json: bool, **options: Any) -> None:
    """Find with what probability each item may be given, so that few candidates see it.

    Candidates are simulated who take a test of the items, and items that too many of them see are
    held back. A last simulation of 100,000 others says what was reached, and what it costs in
    precision. Without --out nothing is written. An engine draws once per candidate and item
    whether the item is open to the candidate.

    Example: calibrate exposure --max-rate 0.2 --answers 30 --out exposure.csv
    """
    # Here, and not above: Numba takes longer to import than `--help` may.
    import numpy as np

    from calibration_pipeline.irt.exposure_control import UnreachableRateError, control_exposure

    if out is not None and out.exists() and not force:
        raise BadInputError(f"{out} exists: choose another place, or add --force to replace it")
    rate = options["max_rate"] or load_settings().policy.maximum_exposure_rate
    ids, test = _test(options)
    started = time.perf_counter()
    try:
        control = control_exposure(
            test, rate, _method(options), np.random.default_rng(options["seed"])
        )
    except UnreachableRateError as error:
        raise BadInputError(f"{error}: allow a higher --max-rate or fewer --answers") from None
    document = _document(control, ids, options) | {"seconds": time.perf_counter() - started}
    _show(document, as_json)
    if not control.is_reached(_TOLERANCE):
        raise ExposureNotReachedError(
            f"the worst item is seen by {control.reached.worst_rate:.1%} of candidates, not "
            f"{rate:.1%}: {_remedy(options)}; nothing was written"
        )
    if out is not None:
        _write(out, ids, control)
        say(f"Probabilities: {out}")


def _remedy(options: dict[str, Any]) -> str:
    if options["method"] == "sympson-hetter":
        return "take more --iterations, or --method eligibility, which needs no tuning"
    if options["cuts"]:
        return "take fewer --cut, or a lower --max-rate: levels are known by estimates alone"
    return "the pool can hardly give such tests; allow a higher --max-rate or fewer --answers"


def _test(options: dict[str, Any]) -> tuple[list[str], "AdaptiveTest"]:
    from calibration_pipeline.irt.exposure_control import AdaptiveTest
    from calibration_pipeline.irt.simulation import SelectionRule

    ids, parameters, scaling_constant = _items(options)
    if len(ids) < options["answers"]:
        raise BadInputError(
            f"a test of {options['answers']} items can't be drawn from {len(ids)}: fewer --answers"
        )
    mean, sd = options["mean"], options["sd"]
    rule = SelectionRule(
        options["answers"], pool_share=1.0, top=options["top"], is_weighted=options["weighted"]
    )
    return ids, AdaptiveTest(
        parameters,
        rule,
        lambda n, generator: generator.normal(mean, sd, n),
        scaling_constant=scaling_constant,
        cuts=tuple(sorted(set(options["cuts"]))),
    )


def _items(options: dict[str, Any]) -> tuple[list[str], "FloatArray", float]:
    """Ids, ``(n_items, 3)`` parameters and their D, from a file or a published version."""
    import numpy as np

    from calibration_pipeline.store.item_table import read_item_table
    from calibration_pipeline.store.published import find_version, read_version

    if options["items"] is not None:
        table = read_item_table(options["items"])
        known = np.flatnonzero(np.isfinite(table.parameters).all(axis=1))
        ids = [table.item_ids[j] for j in known]
        constant = options["scaling_constant"] or load_settings().policy.em.scaling_constant
        return ids, table.parameters[known], constant
    with configured_database() as database:
        engine = database.engine
        found = read_version(engine, options["version"] or find_version(engine))
    scales = sorted({item.scale for item in found.items})
    scale = options["scale"] or scales[0]
    if scale not in scales or (options["scale"] is None and len(scales) > 1):
        raise BadInputError(
            f"version {found.version} has the scales {', '.join(scales)}: name one with --scale"
        )
    items = [item for item in found.items if item.scale == scale]
    parameters = np.array([(i.discrimination, i.difficulty, i.guessing) for i in items])
    return [f"{i.key[0]}@{i.key[1]}" for i in items], parameters, found.scaling_constant


def _method(options: dict[str, Any]) -> "SympsonHetter | ItemEligibility":
    from calibration_pipeline.irt.exposure_control import ItemEligibility, SympsonHetter

    if options["method"] == "eligibility":
        return ItemEligibility()
    if options["floor"] > options["ceiling"]:
        raise click.UsageError("--floor must not be above --ceiling")
    return SympsonHetter(
        cycles=options["iterations"],
        damping=options["damping"],
        floor=options["floor"],
        ceiling=options["ceiling"],
    )


def _document(
    control: "ExposureControl", ids: list[str], options: dict[str, Any]
) -> dict[str, Any]:
    reached, before = control.reached, control.uncontrolled
    worst = reached.rates.max(axis=0)
    most = sorted(range(len(ids)), key=lambda j: (-float(worst[j]), ids[j]))
    return {
        "method": options["method"],
        "items": len(ids),
        "answers": options["answers"],
        "maximum_rate": control.maximum_rate,
        "worst_rate": reached.worst_rate,
        "worst_rate_without": before.worst_rate,
        "items_held_back": int((control.probability.min(axis=0) < 1.0).sum()),
        "items_seen_by_nobody": int((reached.overall_rates == 0.0).sum()),
        "items_seen_by_nobody_without": int((before.overall_rates == 0.0).sum()),
        "mean_sd_of_ability": reached.mean_sd,
        "mean_sd_without": before.mean_sd,
        "precision_lost": control.precision_lost,
        "candidates": reached.candidates,
        "cycles": len(control.cycles),
        "is_reached": control.is_reached(_TOLERANCE),
        "most_seen": [
            {
                "item": ids[j],
                "probability": float(control.probability[:, j].min()),
                "rate": float(reached.overall_rates[j]),
                "rate_without": float(before.overall_rates[j]),
            }
            for j in most[:_ROWS]
        ],
    }


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    facts = {name: value for name, value in document.items() if name != "most_seen"}
    print_facts("Exposure control", facts)
    print_table(
        document["most_seen"],
        {"item": "Item", "probability": "Open with", "rate": "Seen by", "rate_without": "Without"},
    )


def _write(path: Path, ids: list[str], control: "ExposureControl") -> None:
    """One row per item and level, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item_id", "level", "probability", "rate", "rate_without"])
    for level, probabilities in enumerate(control.probability):
        rates = control.reached.rates[level], control.uncontrolled.rates[level]
        for item, *values in zip(ids, probabilities, *rates, strict=True):
            writer.writerow([item, level, *(f"{value:.6g}" for value in values)])
    with private_file(path) as file:
        file.write(text.getvalue().encode())
