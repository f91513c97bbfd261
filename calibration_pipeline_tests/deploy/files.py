"""The files of deploy/, read."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from calibration_pipeline.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
RESOURCES = [path for path in MANIFESTS if path.name != "kustomization.yaml"]
Document = dict[str, Any]


def documents(path: Path) -> list[Document]:
    """All documents of a YAML file."""
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def document(path: Path) -> Document:
    """The one document of a YAML file."""
    (found,) = documents(path)
    return found


def resources(kind: str | None = None) -> list[Document]:
    """The Kubernetes objects of deploy/kubernetes, or those of a kind."""
    found = [one for path in RESOURCES for one in documents(path)]
    return [one for one in found if kind in (None, one["kind"])]


def pods() -> dict[str, Document]:
    """The pod specification of every object that makes pods, by its name."""
    found = {}
    for one in resources():
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[one["metadata"]["name"]] = spec["template"]["spec"]
    return found


def containers() -> dict[str, Document]:
    """The container of every pod; each has one."""
    return {name: pod["containers"][0] for name, pod in pods().items()}


def variables(node: Any) -> Iterator[Document]:
    """Every entry of a list `env` below a node, wherever it stands."""
    if isinstance(node, dict):
        for name, below in node.items():
            if name == "env" and isinstance(below, list):
                yield from below
            else:
                yield from variables(below)
    elif isinstance(node, list):
        for below in node:
            yield from variables(below)


def loaded(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> Settings:
    """The settings of a process with these variables and no others of ours."""
    for name in [name for name in os.environ if name.startswith("CALIBRATION_")]:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()
