"""The documentation and the code say the same."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from benchmarks.report import render
from calibration_pipeline.alert_configuration import AlertConfiguration
from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.interfaces.cli import COMMANDS
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.policy.anchor_configuration import AnchorConfiguration
from calibration_pipeline.policy.cold_start_configuration import ColdStartConfiguration
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.cross_check_configuration import (
    AuditConfiguration,
    SecondOpinionConfiguration,
)
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.policy.flag_configuration import FlagConfiguration
from calibration_pipeline.policy.item_prior_configuration import ItemPriorConfiguration
from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline_tests.interfaces.cli.commands import command_paths

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [
    path
    for folder in ("calibration_pipeline", "calibration_pipeline_tests", "benchmarks", "studies")
    for path in sorted((ROOT / folder).rglob("*.py"))
] + [ROOT / "pyproject.toml", ROOT / "Makefile"]

CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
SETTING_ROW = re.compile(
    r"^\| `(CALIBRATION_\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE
)
# A page, and the heading where one is quoted behind it: docs/architecture.md, "Priors".
REFERENCE = re.compile(r'\bdocs/([\w./-]*\w)(?:, "([^"\n]+)")?')


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _documented_code() -> list[str]:
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    return [code for page in pages for code in CODE.findall(page.read_text())]


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_every_command_is_in_the_docs(path: tuple[str, ...]) -> None:
    command = re.compile(r"\bcalibrate " + " ".join(path) + r"\b")
    assert any(command.search(code) for code in _documented_code())


def test_the_docs_name_no_command_that_does_not_exist() -> None:
    named = {
        name for code in _documented_code() for name in re.findall(r"\bcalibrate ([a-z-]+)", code)
    }
    assert named - set(COMMANDS) == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(CODE.sub("", page.read_text())):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), f"{target} does not exist"
        assert not anchor or anchor in _anchors(linked), f"{target} has no heading #{anchor}"


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_pages_named_in_the_code_exist(source: Path) -> None:
    if source == Path(__file__):
        return
    for target, heading in REFERENCE.findall(source.read_text()):
        found = list(ROOT.glob(f"docs/{target}*"))
        assert found, f"docs/{target} does not exist"
        assert not heading or f"# {heading}\n" in found[0].read_text(), f'no heading "{heading}"'


def test_the_readme_lists_every_folder_of_code_and_pages() -> None:
    listed = set(re.findall(r"^\| `([\w/]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    packages = {_name(path.parent) for path in ROOT.glob("calibration_pipeline/*/__init__.py")}
    others = {"calibration_pipeline_tests", "benchmarks", "studies", "deploy", "docs"}
    assert listed == packages | others


def test_the_index_of_pages_lists_all_of_them() -> None:
    folder = ROOT / "docs"
    listed = {target for target, _ in LINK.findall((folder / "README.md").read_text())}
    assert {path.name for path in folder.glob("*.md")} - {"README.md"} <= listed


def test_the_page_of_benchmarks_says_what_its_figures_say() -> None:
    figures = json.loads((ROOT / "docs" / "benchmarks.json").read_text())
    assert (ROOT / "docs" / "benchmarks.md").read_text() == render(figures)


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = {target for target, _ in LINK.findall((folder / "README.md").read_text())}
    assert listed == {path.name for path in folder.glob("0*.md")}


def _spelled(value: Any) -> str:
    """Spell a default as it stands in the docs, which is how a variable would set it."""
    if value is None or value is PydanticUndefined:
        return "unset"
    if isinstance(value, tuple):
        return f"`{','.join(str(part) for part in value)}`"
    return f"`{value}`"


def _settings_in_code() -> dict[str, str]:
    defaults = {
        f"CALIBRATION_{name.upper()}": field.default
        for name, field in Settings.model_fields.items()
    }
    for prefix, configuration in (
        ("CALIBRATION_SOURCE__", SourceConfiguration()),
        ("CALIBRATION_API__", ApiConfiguration()),
        ("CALIBRATION_ALERT__", AlertConfiguration()),
        ("CALIBRATION_POLICY__", CalibrationConfiguration()),
        ("CALIBRATION_POLICY__ANCHORS__", AnchorConfiguration()),
        ("CALIBRATION_POLICY__FLAGS__", FlagConfiguration()),
        ("CALIBRATION_POLICY__LEAKS__", LeakConfiguration()),
        ("CALIBRATION_POLICY__EXPOSURE__", ExposureConfiguration()),
        ("CALIBRATION_POLICY__COLD_START__", ColdStartConfiguration()),
        ("CALIBRATION_POLICY__AUDIT__", AuditConfiguration()),
        ("CALIBRATION_POLICY__SECOND_OPINION__", SecondOpinionConfiguration()),
        ("CALIBRATION_POLICY__ITEM_PRIORS__", ItemPriorConfiguration()),
        ("CALIBRATION_POLICY__EM__", EMConfiguration()),
    ):
        for field in dataclasses.fields(configuration):
            value = getattr(configuration, field.name)
            value = None if value in ({}, ()) else value
            if not dataclasses.is_dataclass(value):
                defaults[prefix + field.name.upper()] = value
    return {name: _spelled(value) for name, value in defaults.items()}


def test_every_setting_is_documented_with_its_unit_default_and_reason() -> None:
    rows = SETTING_ROW.findall((ROOT / "docs" / "settings.md").read_text())
    assert {name: default.strip() for name, _, default, _ in rows} == _settings_in_code()
    assert all(unit.strip() and len(reason.split()) >= 4 for _, unit, _, reason in rows)
