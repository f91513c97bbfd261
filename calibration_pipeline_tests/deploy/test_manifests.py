"""The Kubernetes manifests: valid, hardened, without secrets, and calling what exists."""

from datetime import time
from pathlib import Path

import click
import kubernetes_validate
import pytest

from calibration_pipeline.interfaces.api.app import create_app
from calibration_pipeline.interfaces.cli import main
from calibration_pipeline.settings import Settings
from calibration_pipeline_tests.deploy.files import (
    DEPLOY,
    RESOURCES,
    Document,
    containers,
    document,
    documents,
    loaded,
    pods,
    resources,
    variables,
)

OLDEST, NEWEST = "1.30", "1.34"
"""Kubernetes versions between which the manifests are to be valid."""
SETTINGS = document(DEPLOY / "kubernetes" / "settings.yaml")["data"]
EXAMPLES = {
    "owner-database-url": "postgresql://owner@db/exams",
    "database-url": "postgresql://nightly@db/exams",
    "dagster-database-url": "postgresql://nightly@db/dagster",
    "api-database-url": "postgresql://api@db/exams",
    "source-database-url": "postgresql://reader@lms/answers",
    "pseudonym-key": "0" * 64,
    "heartbeat-url": "https://watchdog.example.org/1",
    "s3-access-key-id": "id",
    "s3-secret-access-key": "key",
}
"""What the secret holds, by its keys; docs/deployment.md says how it is made."""
WHATEVER_IS_SECRET = ("KEY", "SECRET", "PASSWORD", "TOKEN", "DATABASE_URL", "HEARTBEAT")


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_every_object_is_valid(path: Path, version: str) -> None:
    for one in documents(path):
        kubernetes_validate.validate(one, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    night = document(DEPLOY / "kubernetes" / "night.yaml")
    night["spec"]["timezone"] = night["spec"].pop("timeZone")
    with pytest.raises(kubernetes_validate.ValidationError, match="timezone"):
        kubernetes_validate.validate(night, NEWEST, strict=True)


def test_the_kustomization_has_every_file() -> None:
    listed = document(DEPLOY / "kubernetes" / "kustomization.yaml")["resources"]
    assert sorted(listed) == sorted(path.name for path in RESOURCES)
    images = document(DEPLOY / "kubernetes" / "kustomization.yaml")["images"]
    assert {one["image"] for one in containers().values()} == {image["name"] for image in images}


def parsed(command: list[str]) -> click.Context:
    """Parse a command line as `calibrate` does, and run nothing."""
    program, *arguments = command
    assert program == "calibrate"
    name, *options = arguments
    context = click.Context(main, info_name=program)
    found = main.get_command(context, name)
    assert found is not None
    return found.make_context(name, options, parent=context)


@pytest.mark.parametrize("name", sorted(containers()))
def test_every_command_exists_with_its_options(name: str) -> None:
    parsed(containers()[name]["command"])


def test_an_option_that_isnt_there_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        parsed(["calibrate", "night", "--no-such-option"])


@pytest.mark.parametrize("name", sorted(containers()))
def test_the_settings_of_every_container_can_be_loaded(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    container = containers()[name]
    assert container["envFrom"] == [{"configMapRef": {"name": "night-settings"}}]
    values = dict(SETTINGS)
    for variable in container["env"]:
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        values[variable["name"]] = EXAMPLES[reference["key"]] if reference else variable["value"]
    settings = loaded(monkeypatch, values)
    assert settings.archive_place == SETTINGS["CALIBRATION_ARCHIVE"]


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.name))
def test_every_variable_of_ours_is_a_setting(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    text = path.read_text()
    for name in {word.strip("\"':/,") for word in text.replace("/", " ").split()}:
        if name.startswith("CALIBRATION_"):
            field = name.removeprefix("CALIBRATION_").lower().partition("__")[0]
            assert field in Settings.model_fields, name


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.name))
def test_secrets_are_named_and_never_stated(path: Path) -> None:
    for one in documents(path):
        assert one.get("kind") != "Secret"
        for variable in variables(one):
            if any(part in variable["name"] for part in WHATEVER_IS_SECRET):
                assert "value" not in variable, variable["name"]
                assert variable["valueFrom"]["secretKeyRef"]["key"] in EXAMPLES
    assert not any(part in name for name in SETTINGS for part in WHATEVER_IS_SECRET)
    assert "@" not in path.read_text()


@pytest.mark.parametrize("name", sorted(pods()))
def test_pods_may_do_no_more_than_they_need(name: str) -> None:
    pod, container = pods()[name], containers()[name]
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    # Whatever is written goes to a volume.
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"/var/lib/calibration", "/tmp"}  # noqa: S108


def test_the_night_is_the_one_of_the_schedule() -> None:
    spec = document(DEPLOY / "kubernetes" / "night.yaml")["spec"]
    defaults = Settings.model_fields
    hour = defaults["run_hour"].default
    assert spec["schedule"] == f"0 {time(hour).hour} * * *"
    assert spec["timeZone"] == SETTINGS["CALIBRATION_TIMEZONE"] == defaults["timezone"].default
    assert spec["concurrencyPolicy"] == "Forbid"
    job = spec["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] <= 20 * 3600
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2]


def test_no_service_makes_variables_that_pass_for_settings() -> None:
    """A Service x gives pods X_SERVICE_HOST; ours refuse what begins like a setting."""
    names = [one["metadata"]["name"] for one in resources("Service")]
    charts = document(DEPLOY / "dagster" / "values.yaml")
    names += [one["name"] for one in charts["dagster-user-deployments"]["deployments"]]
    assert names
    assert not [name for name in names if name.startswith("calibration")]


def test_probes_ask_what_is_answered() -> None:
    container = containers()["item-parameters"]
    (port,) = container["ports"]
    assert container["command"][-1] == str(port["containerPort"])
    answered = create_app(Settings()).openapi()["paths"]
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container[kind]["httpGet"]
        assert (probe["port"], probe["path"] in answered) == (port["name"], True)


def test_volumes_settings_and_labels_belong_together() -> None:
    names: dict[str, set[str]] = {}
    for one in resources():
        names.setdefault(one["kind"], set()).add(one["metadata"]["name"])
    for pod in pods().values():
        assert pod["serviceAccountName"] in names["ServiceAccount"]
        for volume in pod["volumes"]:
            claim: Document = volume.get("persistentVolumeClaim", {})
            assert claim.get("claimName", "night-home") in names["PersistentVolumeClaim"]
