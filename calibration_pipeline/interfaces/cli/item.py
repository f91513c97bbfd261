"""``calibrate item``: one item's whole story."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.completing import item_ids
from calibration_pipeline.interfaces.cli.console import json_option, print_json, progress, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.flags.reading import named_item
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.interfaces.item_story import ItemStory

_SUFFIXES = (".svg", ".png")


@click.command()
@click.argument("item_id", shell_complete=item_ids)
@click.option(
    "--rows", type=click.IntRange(min=1), default=10, show_default=True,
    help="Newest versions, and nights with evidence, to show.",
)  # fmt: skip
@click.option(
    "--plot", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plots to FILE as well, .svg or .png.",
)  # fmt: skip
@json_option
def item(item_id: str, rows: int, plot: Path | None, as_json: bool) -> None:
    """Tell the story of the item ITEM_ID (or id@content_version).

    What it is; its published values over the versions, with what changed; its answers, and how they
    fit; its flags with the evidence, and what people decided; the leak watch and exposure control;
    its response curve with the observed proportions; its difficulty by night. Changes nothing.

    Example: calibrate item item-0815 --plot item-0815.svg
    """
    if plot and plot.suffix.lower() not in _SUFFIXES:
        raise BadInputError(f"{plot} is no name for a plot: end it in {' or '.join(_SUFFIXES)}")
    story = _read(item_id)
    if as_json:
        from calibration_pipeline.interfaces.item_story import story_document

        print_json(story_document(story))
    else:
        from calibration_pipeline.interfaces.cli.item_showing import show_story

        show_story(story, rows)
    if plot:
        _write_plot(story, plot)


def _read(item_id: str) -> ItemStory:
    with configured_database(create=False) as database:
        from calibration_pipeline.interfaces.item_story import read_item_story
        from calibration_pipeline.store.archive_opening import open_archive

        key, settings = named_item(database, item_id), load_settings()
        with progress("Reading the answers") as reporter:
            return read_item_story(
                database,
                open_archive(settings.archive_place),
                settings.policy,
                key,
                reporter.reach,
            )


def _write_plot(story: ItemStory, path: Path) -> None:
    from calibration_pipeline.reports.item_figure import item_figure
    from calibration_pipeline.store.private_files import private_file

    image = item_figure(
        story.entry.key, story.trajectory, story.held_at, story.curve, story.observed,
        story.scaling_constant, path.suffix.lower().lstrip("."),
    )  # fmt: skip
    with private_file(path) as file:
        file.write(image)
    say(f"Written: {path}. Only you can read it: item parameters are test secrets.")
