"""Dagster's web interface in a real browser: what a data lead sees in the morning.

Nights are calibrated by the daemon; a backfill is launched by clicking, and a night that fails
tells a real webhook. Screenshots are kept, see `calibration_pipeline_tests.browser`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calibration_pipeline.orchestration.schedule import JOB, range_tags
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.browser import Browser, Visit, browser
from calibration_pipeline_tests.dagster_server import WebServer, running_dagster
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.programme import (
    PLAN,
    Programme,
    dagster_template,
    load,
    programme_on,
)
from calibration_pipeline_tests.receivers import SECRET, Webhook, running_webhook

__all__ = ["browser", "dagster_template"]
pytestmark = pytest.mark.slow

# The interface plots the last 120 partitions alone, so the nights are those before today.
RECENT = replace(PLAN, last_day=datetime.now(ZoneInfo("Europe/Zurich")).date() - timedelta(days=1))
NIGHTS = tuple(RECENT.last_day - timedelta(days=n) for n in reversed(range(RECENT.days)))
DESKTOP_TALL = (1500, 3600)
"""High enough for a whole asset page, which scrolls inside itself."""
FRESHNESS = """
query Freshness($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode { freshnessStatusInfo { freshnessStatus } }
  }
}
"""
BACKFILLS = """
query Backfills {
  partitionBackfillsOrError { ... on PartitionBackfills { results { id status } } }
}
"""
GROUP_URL = "/locations/calibration_pipeline.definitions/asset-groups/nightly_calibration/lineage"


@dataclass(frozen=True)
class Morning:
    """A programme of which the daemon has calibrated some nights, and what watches it."""

    programme: Programme
    server: WebServer
    webhook: Webhook
    log: Path

    def url(self, path: str) -> str:
        return f"{self.server.address}{path}"


@pytest.fixture(scope="module")
def morning(
    embedded_server: EmbeddedServer,
    dagster_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Morning]:
    folder = tmp_path_factory.mktemp("morning")
    with (
        fresh_database(embedded_server) as url,
        fresh_database(embedded_server, template_url=dagster_template) as dagster_url,
        running_webhook() as webhook,
    ):
        first_day = NIGHTS[0] - timedelta(days=1)
        own = programme_on(url, folder / "home", first_day=first_day)
        load(own.engine, folder / "simulated", RECENT)
        alerts = {
            "CALIBRATION_ALERT__SINKS": "log,webhook",
            "CALIBRATION_ALERT__WEBHOOK_URL": webhook.url,
            "CALIBRATION_ALERT__UI_URL": "{address}",
            "FRESHNESS_DAEMON_INTERVAL_SECONDS": "3",
        }
        with running_dagster(own, dagster_url, folder, **alerts) as server:
            run = server.launch(JOB, range_tags(NIGHTS[0], NIGHTS[3], "the data lead"))
            assert server.finished(run)["status"] == "SUCCESS"
            yield Morning(own, server, webhook, folder / "dev.log")
        own.close()


def opened(visit: Visit, morning: Morning, path: str, text: str | re.Pattern[str]) -> Any:
    """Open a page and wait for a text on it."""
    visit.page.goto(morning.url(path))
    visit.page.get_by_text(text).first.wait_for()
    return visit.page


def told_of(morning: Morning, kind: str) -> list[dict[str, Any]]:
    """What the webhook was told of one kind."""
    return [told for told in morning.webhook.told if told["kind"] == kind]


def ended_backfills(morning: Morning) -> list[dict[str, str]]:
    """Backfills that are over, however they ended."""
    found = morning.server.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
    return [b for b in found if b["status"].startswith(("COMPLETED", "FAILED", "CANCELED"))]


def test_the_lineage_shows_the_chain_with_its_checks(morning: Morning, browser: Browser) -> None:
    with browser.visit(size=(3200, 1000)) as visit:  # the graph names things where it has room
        page = opened(visit, morning, GROUP_URL, "calibration_snapshot")
        for name in ("responses", "item_fits", "anchor_link", "nightly_report", "night_outcome"):
            page.get_by_text(name, exact=True).first.wait_for()
        page.get_by_text("3 / 3 Passed").first.wait_for()
        visit.screenshot("dagster-lineage", whole=False)
        assert visit.problems == []


@pytest.mark.parametrize("asset", ["item_fits", "calibration_snapshot", "item_flags"])
def test_an_asset_explains_itself_and_draws_its_plots(
    morning: Morning, browser: Browser, asset: str
) -> None:
    with browser.visit(size=DESKTOP_TALL) as visit:
        page = opened(visit, morning, f"/assets/{asset}", "Look at:")
        page.get_by_text("non-nullable").first.wait_for()
        page.get_by_text("psychometrics", exact=True).first.wait_for()
        image = page.locator("img[src^='data:image/svg+xml']").first
        image.wait_for()
        assert image.evaluate("image => image.complete && image.naturalWidth") == 320
        assert len(image.get_attribute("alt").split()) >= 4
        assert page.locator("table tr").count() > 20
        visit.screenshot(f"dagster-{asset}")
        page.get_by_role("button", name="Plots").click()
        page.locator("canvas").nth(3).wait_for()
        visit.screenshot(f"dagster-{asset}-plots")
        assert visit.problems == []


def test_checks_are_statements_with_their_result(morning: Morning, browser: Browser) -> None:
    with browser.visit() as visit:
        page = opened(visit, morning, "/assets/item_fits?view=checks", "fit_is_accepted")
        page.get_by_text("Every scale's EM converged.").wait_for()
        page.get_by_text("nights judged").first.wait_for()
        visit.screenshot("dagster-checks")
        assert visit.problems == []


def test_the_daemon_judges_the_freshness_of_assets_with_partitions(morning: Morning) -> None:
    def status() -> str | None:
        found = morning.server.ask(FRESHNESS, key={"path": ["calibration_snapshot"]})
        info = found["assetNodeOrError"]["freshnessStatusInfo"]
        known = info["freshnessStatus"] if info else "UNKNOWN"
        return None if known == "UNKNOWN" else str(known)

    assert morning.server.wait(status) == "HEALTHY"


def test_a_backfill_is_launched_by_clicking(morning: Morning, browser: Browser) -> None:
    with browser.visit() as visit:
        path = f"/locations/calibration_pipeline.definitions/jobs/{JOB}"
        page = opened(visit, morning, path, "Materialize all")
        page.get_by_role("button", name="Materialize all").click()
        page.get_by_text("Partition selection").wait_for()
        field = page.locator("input[type=text]").last
        field.fill(f"[{NIGHTS[4]}...{NIGHTS[5]}]")
        field.press("Enter")
        page.get_by_text("2 partitions").first.wait_for()
        visit.screenshot("dagster-backfill-dialog", whole=False)
        page.get_by_role("button", name="Launch backfill").click()
        ended = "FROM calibration.runs JOIN calibration.run_outcomes USING (run_id)"
        done = f"SELECT max(partition) {ended}"
        morning.server.wait(lambda: morning.programme.scalar(done) == NIGHTS[5])
        (backfill,) = morning.server.wait(lambda: ended_backfills(morning))
        assert backfill["status"] == "COMPLETED_SUCCESS"
        opened(visit, morning, f"/runs/b/{backfill['id']}", backfill["id"])
        visit.screenshot("dagster-backfill", whole=False)
        assert visit.problems == []
    versions = morning.programme.digests()[1]
    assert [night for _, night, _ in versions] == list(NIGHTS[:6])


def test_a_night_that_fails_is_told_with_a_link_to_its_run(
    morning: Morning, browser: Browser
) -> None:
    night = NIGHTS[6]
    morning.programme.log_like("bad", night, score="7")
    run = morning.server.launch(JOB, range_tags(night, night, "a test"))
    assert morning.server.finished(run)["status"] == "FAILURE"
    (told,) = morning.server.wait(lambda: told_of(morning, "run failed"))
    assert told["url"] == morning.url(f"/runs/{run}")
    assert f"{JOB} of {night} (run {run[:8]}) failed in night_outcome" in told["text"]
    assert SECRET not in told["text"]
    assert told["text"] in morning.log.read_text(), "the sink `log` writes where the daemon does"
    with browser.visit(told["url"]) as visit:
        visit.page.get_by_text("Failure").first.wait_for()
        visit.page.get_by_text("STEP_FAILURE").first.wait_for()  # the log is loaded by then
        visit.screenshot("dagster-failed-run", whole=False)
        assert visit.problems == []
