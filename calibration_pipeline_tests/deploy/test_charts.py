"""The values for the charts of Dagster and Dask: names that the charts have, and what they come to.

The charts' schemas are on no package index. The names below were read in the charts' sources: the
models under `helm/dagster/schema` of dagster-io/dagster (1.13), and the values and templates of
dask/helm-chart (2024.1).
"""

import inspect
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._cli.api import grpc_command
from dagster._config import process_config
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.storage.dagster_run import DagsterRun
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext

from calibration_pipeline_tests.deploy.files import (
    DEPLOY,
    ROOT,
    Document,
    document,
    loaded,
    resources,
)

VALUES = document(DEPLOY / "dagster" / "values.yaml")
DASK = document(DEPLOY / "dask" / "values.yaml")
(LOCATION,) = VALUES["dagster-user-deployments"]["deployments"]
LAUNCHER = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
POD = {"podSecurityContext", "securityContext", "resources", "volumes", "volumeMounts", "image"}
OF_DAGSTERS_CHART: dict[str, set[str]] = {
    "": {"global", "generatePostgresqlPasswordSecret", "generateCeleryConfigSecret", "postgresql",
         "rabbitmq", "redis", "dagster-user-deployments", "runLauncher", "concurrency",
         "dagsterDaemon", "dagsterWebserver", "computeLogManager", "telemetry",
         "additionalInstanceConfig"},
    "postgresql": {"enabled", "postgresqlHost", "postgresqlUsername", "postgresqlDatabase",
                   "postgresqlParams", "service"},
    "dagster-user-deployments": {"enabled", "enableSubchart", "deployments"},
    "dagsterDaemon": POD | {"enabled", "runCoordinator", "runRetries", "runMonitoring"},
    "dagsterWebserver": POD | {"replicaCount", "service"},
    "runLauncher": {"type", "config"},
    "concurrency": {"enabled", "pools"},
    "computeLogManager": {"type", "config"},
}  # fmt: skip
OF_A_CODE_LOCATION = (POD - {"resources"}) | {
    "name", "dagsterApiGrpcArgs", "port", "includeConfigInLaunchedRuns", "envConfigMaps", "env",
}  # fmt: skip
OF_THE_LAUNCHER = {
    "imagePullPolicy", "loadInclusterConfig", "envConfigMaps", "envSecrets", "envVars", "volumes",
    "volumeMounts", "resources", "securityContext", "runK8sConfig",
}  # fmt: skip
OF_DASKS_CHART: dict[str, set[str]] = {
    "": {"scheduler", "worker", "jupyter"},
    "scheduler": {"image", "serviceType", "servicePort", "resources", "securityContext"},
    "worker": {"image", "replicas", "threads_per_worker", "resources", "env", "mounts",
               "securityContext"},
    "jupyter": {"enabled"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "known"),
    [(VALUES, OF_DAGSTERS_CHART), (DASK, OF_DASKS_CHART)],
    ids=["dagster", "dask"],
)
def test_values_have_names_that_the_chart_knows(
    values: Document, known: dict[str, set[str]]
) -> None:
    for name, names in known.items():
        assert set(values[name] if name else values) <= names, name


def test_the_code_location_and_the_launcher_have_names_that_the_chart_knows() -> None:
    assert set(LOCATION) == OF_A_CODE_LOCATION
    assert set(LAUNCHER) == OF_THE_LAUNCHER


def snake(values: Document) -> Document:
    """The chart writes the launcher's settings for Dagster under these names."""
    return {re.sub("([A-Z])", r"_\1", name).lower(): value for name, value in values.items()}


def launcher_config() -> Document:
    """What the chart's template makes of the launcher's values (`_run-launcher.tpl`)."""
    config = snake({k: v for k, v in LAUNCHER.items() if k != "runK8sConfig" and v != []})
    config["run_k8s_config"] = snake(LAUNCHER["runK8sConfig"])
    return config | {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
    }


def location_context() -> Document:
    """What the chart tells runs of their code location (`dagsterUserDeployments…Context`)."""
    names = ("volumes", "volumeMounts", "resources", "env", "labels")
    shared = snake({name: LOCATION[name] for name in names if name in LOCATION})
    return {"k8s": shared | {"env_config_maps": [one["name"] for one in LOCATION["envConfigMaps"]]}}


def test_dagster_takes_the_launchers_settings() -> None:
    result = process_config(K8sRunLauncher.config_type(), launcher_config())
    assert result.success, result.errors
    broken = launcher_config() | {"resource": {}}
    assert not process_config(K8sRunLauncher.config_type(), broken).success


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What Dagster makes of launcher and code location for a run's pod."""
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    checked = process_config(K8sRunLauncher.config_type(), launcher_config())
    assert checked.value is not None
    repository = RepositoryPythonOrigin(
        executable_path="python",
        code_pointer=ModuleCodePointer("calibration_pipeline.definitions", "defs"),
        entry_point=["dagster"],
        container_context=location_context(),
    )
    run = DagsterRun("nightly", job_code_origin=JobPythonOrigin("nightly", repository))
    launcher = K8sRunLauncher(**checked.value)
    return K8sContainerContext.create_for_run(run, launcher, include_run_tags=True).run_k8s_config


def test_a_run_has_the_resources_of_a_night(merged: Any) -> None:
    """The chart hands the code location's own resources to the runs, and they would win."""
    assert merged.container_config["resources"] == LAUNCHER["resources"]


def test_a_run_has_the_settings_and_the_secrets_by_name(merged: Any) -> None:
    container = merged.container_config
    secrets = {one["name"] for one in container["env"] if one.get("value_from")}
    assert {"CALIBRATION_DATABASE_URL", "CALIBRATION_PSEUDONYM_KEY"} <= secrets
    sources = [one.get("config_map_ref", {}).get("name") for one in container["env_from"]]
    assert "night-settings" in sources


def test_a_run_may_do_no_more_than_it_needs(merged: Any) -> None:
    container, pod = merged.container_config, merged.pod_spec_config
    assert container["security_context"]["read_only_root_filesystem"] is True
    assert container["security_context"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["security_context"]["run_as_non_root"] is True
    assert pod["enable_service_links"] is False
    assert merged.job_spec_config["active_deadline_seconds"] == 72000


def instance_settings() -> Document:
    """What the chart's template makes of the values (`configmap-instance.yaml`)."""
    daemon = VALUES["dagsterDaemon"]
    pools = VALUES["concurrency"]["pools"]
    return {
        "run_launcher": {
            "module": "dagster_k8s",
            "class": "K8sRunLauncher",
            "config": launcher_config(),
        },
        "concurrency": {"pools": snake(pools)},
        "run_retries": snake(daemon["runRetries"]),
        "run_monitoring": snake(daemon["runMonitoring"]),
        "telemetry": VALUES["telemetry"],
        **VALUES["additionalInstanceConfig"],
    }


def test_dagster_takes_the_instance_that_the_chart_writes() -> None:
    result = process_config(dagster_instance_config_schema(), instance_settings())
    assert result.success, result.errors


def test_the_instance_is_that_of_dagster_yaml() -> None:
    """Else a night on the cluster would be tried again, or overtaken, as none is elsewhere."""
    ours = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    for name in ("concurrency", "run_retries", "telemetry", "nux", "local_artifact_storage"):
        assert instance_settings()[name] == ours[name], name
    theirs = instance_settings()["run_monitoring"]
    assert {name: theirs[name] for name in ours["run_monitoring"]} == ours["run_monitoring"]


def test_the_code_location_serves_our_definitions() -> None:
    arguments = ["-p", str(LOCATION["port"]), *LOCATION["dagsterApiGrpcArgs"]]
    context = grpc_command.make_context("grpc", arguments)
    assert "calibration_pipeline.definitions" in context.params["module_name"]


def test_the_chart_is_of_the_pinned_version() -> None:
    pinned = re.search(r"^dagster-webserver==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None
    assert f"--version {pinned[1]}" in (DEPLOY / "dagster" / "values.yaml").read_text()


def test_all_processes_run_one_image() -> None:
    images = [LOCATION["image"], VALUES["dagsterDaemon"]["image"]]
    images += [VALUES["dagsterWebserver"]["image"], DASK["scheduler"]["image"]]
    images.append({k: v for k, v in DASK["worker"]["image"].items() if k != "dask_worker"})
    (kustomized,) = document(DEPLOY / "kubernetes" / "kustomization.yaml")["images"]
    assert {(one["repository"], one["tag"]) for one in images} == {
        (kustomized["newName"], kustomized["newTag"])
    }


def test_a_worker_finds_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = document(DEPLOY / "kubernetes" / "settings.yaml")["data"]
    values = {}
    for variable in DASK["worker"]["env"]:
        reference = variable.get("valueFrom", {}).get("configMapKeyRef")
        if reference:
            assert reference["name"] == "night-settings"
            values[variable["name"]] = settings[reference["key"]]
    assert loaded(monkeypatch, values).archive_place == settings["CALIBRATION_ARCHIVE"]
    assert DASK["worker"]["threads_per_worker"] == 1


def test_the_night_finds_the_scheduler() -> None:
    change = patched("ConfigMap")
    assert change["path"] == "/data/CALIBRATION_DASK_SCHEDULER"
    # The chart calls its service after the release, which docs/deployment.md calls dask.
    assert change["value"] == f"tcp://dask-scheduler:{DASK['scheduler']['servicePort']}"


def patched(kind: str) -> Document:
    """What deploy/dask changes of an object of deploy/kubernetes."""
    patches = document(DEPLOY / "dask" / "kustomization.yaml")["patches"]
    (patch,) = (one for one in patches if one["target"]["kind"] == kind)
    assert patch["target"]["name"] in {one["metadata"]["name"] for one in resources(kind)}
    (change,) = yaml.safe_load(patch["patch"])
    assert change["op"] == "add"
    return dict(change)


def test_the_night_may_speak_to_workers_and_nobody_else_may() -> None:
    """Sums come from workers directly, and what is sent to a worker is run there."""
    change = patched("NetworkPolicy")
    assert change["path"] == "/spec/egress/-"
    workers = {"podSelector": {"matchLabels": {"app": "dask"}}}
    assert change["value"] == {"to": [workers]}  # on any port: workers pick theirs
    policy = document(DEPLOY / "dask" / "network.yaml")
    kubernetes_validate.validate(policy, "1.30", strict=True)
    assert policy["spec"]["podSelector"] == workers["podSelector"]
    (rule,) = policy["spec"]["ingress"]
    labels = [one["podSelector"]["matchLabels"] for one in rule["from"]]
    night = document(DEPLOY / "kubernetes" / "night.yaml")["spec"]["jobTemplate"]["spec"]
    assert labels[0] == {"app": "dask"}
    assert labels[1].items() <= night["template"]["metadata"]["labels"].items()
    # Dagster's launcher says so of its runs.
    (component,) = labels[2].values()
    assert f'component="{component}"' in inspect.getsource(K8sRunLauncher)
