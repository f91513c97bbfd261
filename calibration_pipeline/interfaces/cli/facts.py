"""A command's result as a table of two columns: what, and its value."""

from collections.abc import Mapping
from typing import Any

from calibration_pipeline.interfaces.cli.console import print_json, print_table


def print_facts(title: str, facts: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Print named values below a title, or as one JSON object under the same names."""
    if as_json:
        print_json(facts)
        return
    rows = [{"name": name.replace("_", " "), "value": value} for name, value in facts.items()]
    print_table(rows, {"name": title, "value": ""})
