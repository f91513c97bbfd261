"""Figures and plot of docs/flags.md, from the study of flags."""

from pathlib import Path
from typing import Any

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_power import answers_needed, information_per_answer
from calibration_pipeline.policy.flag_reasons import REFERENCE_DRIFT
from calibration_pipeline.policy.flag_reference import shift_from_reference
from studies.flag_chains import FlaggedNights

BEGIN, END = "<!-- figures: written by studies/flags.py -->", "<!-- end of the figures -->"
HEADING = "Answers in a window after the move, for a power of .8 (c = 0.2, reference known):"
DISCRIMINATIONS, DISTANCES, MOVES = (0.7, 1.0, 1.4, 2.0), (0.0, 1.0, -1.0), (0.4, 0.3, 0.2)
GUESSING, ABILITY_ERROR = 0.2, 0.4
"""Of the table of answers needed: a usual item, and how well a session of 30 answers tells θ."""


def example_of(nights: FlaggedNights) -> dict[str, Any]:
    """The course of the item that drops and is flagged at the median time."""
    chain = nights.chain
    (at,) = chain.plan.step_nights
    flagged = sorted(
        (episode.opened_on, episode.key)
        for episode in nights.drift_episodes
        if episode.reason == REFERENCE_DRIFT and episode.opened_on > chain.day_of(at)
        and chain.stepped[nights.states[0].keys.index(episode.key)]
    )  # fmt: skip
    if not flagged:
        return {}
    opened, key = flagged[len(flagged) // 2]
    j = nights.states[0].keys.index(key)
    course = []
    for number, state in enumerate(nights.states, start=1):
        reference = nights.reference_of(state)
        if reference is None:
            continue
        found = shift_from_reference(state, reference)
        course.append([number, float(found.shift[j]), float(found.shift_se[j])])
    return {
        "item": key[0],
        "opened": (opened - chain.day_of(1)).days + 1,
        "dropped": at,
        "move": -chain.plan.step,
        "course": [row for row in course if np.isfinite(row[1])],
    }


def draw(pools: list[dict[str, Any]], path: Path) -> None:
    """Draw the shift of one item by night with its 95% interval, and z below it."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "study", "svg.fonttype": "none", "font.size": 9})
    example = next(pool["example"] for pool in pools if pool["example"])
    night, shift, error = np.array(example["course"]).T
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7, 4.6), sharex=True, layout="constrained", height_ratios=(3, 2)
    )
    above.fill_between(
        night, shift - 1.96 * error, shift + 1.96 * error, color="#0b6e4f", alpha=0.2, linewidth=0
    )
    above.plot(night, shift, color="#0b6e4f", label="window against reference, 95% interval")
    truth = np.where(night > example["dropped"], example["move"], 0.0)
    above.step(night, truth, where="mid", color="black", lw=0.8, ls=":", label="truth")
    for limit in (-0.15, 0.15):
        above.axhline(limit, color="#7a7a7a", lw=0.6, ls="--")
    above.set_title("Difficulty against the reference", loc="left", fontweight="bold", fontsize=9)
    above.legend(frameon=False, loc="lower left")
    below.plot(night, shift / error, color="#c1440e")
    for limit, style in ((-3.5, "--"), (-2.0, ":")):
        below.axhline(limit, color="#7a7a7a", lw=0.8, ls=style)
    below.axvline(example["opened"], color="#c1440e", lw=0.8)
    below.annotate("flagged", (example["opened"], 0.3), xytext=(3, 0), textcoords="offset points")
    below.set_title("z", loc="left", fontweight="bold", fontsize=9)
    below.set_xlabel("night")
    for axis in (above, below):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def write_figures(figures: dict[str, list[dict[str, Any]]], page: Path) -> None:
    """Replace what stands between the two marks of the page."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = power_table(CalibrationConfiguration().flags.drift_credible_z)
    written = "\n\n".join((BEGIN, _measured(figures), HEADING, table, END))
    page.write_text(before + written + after)


def power_table(credible_z: float) -> str:
    """Answers in a window after the move, by discrimination and distance, as Markdown."""
    heads = [f"drop of {move:g}" for move in MOVES]
    lines = [
        f"| a | mean θ − b | {' | '.join(heads)} |",
        f"| ---: | ---: |{' ---: |' * len(MOVES)}",
    ]
    for a in DISCRIMINATIONS:
        for distance in DISTANCES:
            item = np.array([[a, 0.0, GUESSING]])
            information = float(information_per_answer(item, distance, ABILITY_ERROR)[0])
            cells = [f"{answers_needed(move, information, credible_z):,.0f}" for move in MOVES]
            lines.append(f"| {a:g} | {distance:+g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _measured(figures: dict[str, list[dict[str, Any]]]) -> str:
    stable, drops = figures["stable"], figures["drops"]

    def mean(name: str) -> float:
        return float(np.mean([pool[name] for pool in stable]))

    def total(name: str) -> int:
        return int(sum(pool[name] for pool in drops))

    def of(able: str) -> str:
        flagged = total(f"{able} and flagged")
        return f"{flagged} of {total(able)} ({flagged / total(able):.0%})"

    return f"""| Measured | |
| --- | ---: |
| Stable pool of {mean("items"):,.0f} items, {mean("nights"):.0f} nights: drift thresholds crossed, a night | {mean("over a threshold"):,.0f} |
| New credible drift flags, a night | {mean("new credible"):.2f} |
| … of them against the reference of a window ago | {mean("new reference_drift"):.2f} |
| … against last night | {mean("new difficulty_drift"):.2f} |
| … that contradict what they carried | {mean("new carried_contradicted"):.2f} |
| … anchors | {mean("new anchor_drift"):.2f} |
| z of stable items against their reference: standard deviation | {mean("sd of z"):.2f} |
| … share beyond ±3 (0.27% if it were normal) | {mean("beyond 3"):.2%} |
| Episodes of misfit and of anchors, all nights | {mean("episodes"):.0f} |
| … if one night, and what isn't credible, ended them | {mean("episodes without margins"):.0f} |
| Items whose b drops by 0.4, in {len(drops)} pools | {total("dropped")} |
| … flagged before the window lies after the drop | {total("dropped and flagged")} |
| … of those with the answers that the power calculation asks for | {of("able")} |
| … of those with at most half as many again | {of("just able")} |"""  # noqa: E501
