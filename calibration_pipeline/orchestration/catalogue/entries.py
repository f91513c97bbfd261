"""Every asset's entry: who looks after it, who reads it, and what to look at in the morning."""

from dataclasses import dataclass
from typing import Literal

from calibration_pipeline.orchestration.catalogue import answers, fits, published
from calibration_pipeline.orchestration.catalogue.columns import Column

Team = Literal["team:data", "team:psychometrics", "team:content"]
Holds = Literal["personal-data", "test-secrets", "statistics"]
"""What somebody who may see the asset gets to see: people's answers, items' parameters, neither."""


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of an asset beside its description.

    Attributes
    ----------
    owners
        Who is asked about it, the first one first.
    holds
        How carefully it is to be treated.
    read_by
        Who reads it.
    look_at
        What to look at in the morning: stands below the description.
    columns
        Of its table; none where it is no table.
    table
        The table or file that holds it; empty where the metadata are all there is.
    is_nightly
        Whether it is due every night.
    """

    owners: tuple[Team, ...]
    holds: Holds
    read_by: str
    look_at: str
    columns: tuple[Column, ...] = ()
    table: str = ""
    is_nightly: bool = True


ENTRIES: dict[str, Entry] = {
    "responses": Entry(
        ("team:data",), "personal-data", "pipeline",
        "`dagster/row_count` over the nights: a sudden drop or peak is a fault of the source more "
        "often than of candidates. `quarantined by reason` says what was left out.",
        answers.RESPONSES, "archive/<day>/<revision>.parquet",
    ),
    "item_fits": Entry(
        ("team:psychometrics", "team:data"), "test-secrets", "psychometricians",
        "`accepted`, and `reasons` if not. `population mean` and `population sd` over the nights "
        "should wander slowly; `items to look at` fit the model worst.",
        fits.FITS, "calibration.state_items",
    ),
    "item_flags": Entry(
        ("team:content", "team:psychometrics"), "test-secrets", "content-team",
        "`new flags`, then `items to look at`. Decide with `calibrate flags`.",
        fits.FLAGS, "calibration.flags",
    ),
    "anchor_link": Entry(
        ("team:psychometrics",), "test-secrets", "psychometricians",
        "`slope` near 1 and `intercept` near 0 over the nights; `anchors to look at` did not hold.",
        fits.LINKS, "calibration.links",
    ),
    "calibration_snapshot": Entry(
        ("team:data", "team:psychometrics"), "test-secrets", "test-engine",
        "`version` and `current` agree unless publication is frozen; the audit passed; `items that "
        "moved most` since the version before.",
        published.SNAPSHOT, "calibration.snapshot_items",
    ),
    "candidate_abilities": Entry(
        ("team:data",), "personal-data", "data-lead",
        "`mean ability` over the nights, and `mean standard error of ability`: it falls as the "
        "pool becomes better known.",
        answers.ABILITIES, "calibration.candidate_abilities",
    ),
    "item_exposure": Entry(
        ("team:content", "team:data"), "test-secrets", "test-engine",
        "`most seen items`: what nearly everybody sees soon leaks.",
        published.EXPOSURE, "calibration.exposure_control_items",
    ),
    "cold_start": Entry(
        ("team:content",), "test-secrets", "test-engine",
        "`dagster/row_count` falls as new items become known; `nearest` are the next to leave.",
        published.COLD_START, "calibration.cold_start_items",
    ),
    "nightly_report": Entry(
        ("team:data",), "test-secrets", "data-lead",
        "Open the page that `page` names: it is the whole night in one file.",
        table="reports/<night>.html",
    ),
    "night_outcome": Entry(
        ("team:data",), "statistics", "data-lead",
        "`outcome`: anything but completed fails the run, and `reason` says why. `seconds by step` "
        "over the nights shows what grows.",
        published.OUTCOMES, "calibration.run_outcomes",
    ),
    "posterior_audit": Entry(
        ("team:psychometrics",), "test-secrets", "psychometricians",
        "`verdict`, and `worst items` with their intervals.",
        published.AUDITED, is_nightly=False,
    ),
    "second_opinion": Entry(
        ("team:psychometrics",), "test-secrets", "psychometricians",
        "`correlation of difficulties` over the nights, and `most different items`.",
        published.COMPARED, is_nightly=False,
    ),
    "item_priors": Entry(
        ("team:psychometrics",), "test-secrets", "pipeline",
        "`accepted`; otherwise nights keep the version before, and `rejected because` says why. "
        "`items to look at` are those of which least is known beforehand.",
        fits.PRIORS, "calibration.item_prior_items", is_nightly=False,
    ),
}  # fmt: skip
