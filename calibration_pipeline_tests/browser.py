"""A real browser for tests: headless Chromium, driven by Playwright.

    from calibration_pipeline_tests.browser import Browser, browser

    def test_page(browser: Browser) -> None:
        with browser.visit(path.as_uri()) as visit:
            visit.page.get_by_role("heading", name="Flagged items").click()
            visit.screenshot("nightly-page")
            assert visit.problems == []

Where Playwright or Chromium is missing the tests are skipped and say so. Chromium is looked for on
the PATH (`CHROMIUM` names another one), then where `playwright install chromium` puts it.
Screenshots are kept in `build/screenshots`, or in the folder that `TEST_SCREENSHOTS` names.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP, PHONE = (1280, 900), (390, 844)
"""Width and height of a window, in CSS pixels."""
PATIENCE_MS = 30_000.0
"""For anything that a page should show: a measure of hanging, not of speed."""


def screenshot_folder() -> Path:
    """Give the folder where a run's screenshots are kept; git ignores the usual one."""
    return Path(os.environ.get("TEST_SCREENSHOTS") or ROOT / "build" / "screenshots")


@dataclass
class Visit:
    """An open page, and what went wrong in it.

    Attributes
    ----------
    page
        Playwright's page.
    problems
        Errors on the console, uncaught exceptions and failed requests, in order.
    requests
        Every address that was asked for, the page's own included; `data:` addresses are not, since
        they lie in the page.
    """

    page: Any
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("requestfailed", lambda r: self.problems.append(f"{r.url}: {r.failure}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith("data:"):
            self.requests.append(request.url)

    @property
    def overflow(self) -> int:
        """By how many CSS pixels the page is wider than its window: 0 where nothing sticks out."""
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        return max(int(wide) - int(self.page.viewport_size["width"]), 0)

    def screenshot(self, name: str, *, whole: bool = True) -> Path:
        """Keep a picture of the page, or of its window alone; give the file."""
        folder = screenshot_folder()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")
        return path


@dataclass(frozen=True)
class Browser:
    """A running browser."""

    chromium: Any

    @contextmanager
    def visit(
        self, url: str = "", size: tuple[int, int] = DESKTOP, *, dark: bool = False
    ) -> Iterator[Visit]:
        """Open a window with nothing remembered from others, on a page if one is named."""
        width, height = size
        context = self.chromium.new_context(
            viewport={"width": width, "height": height},
            is_mobile=width <= PHONE[0],
            color_scheme="dark" if dark else "light",
            locale="en-GB",
            timezone_id="Europe/Zurich",
        )
        try:
            visit = Visit(context.new_page())
            if url:
                visit.page.goto(url)
            yield visit
        finally:
            context.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a module's tests.

    Not for the whole run: while Playwright is open its event loop counts as running, and what
    calls `asyncio.run` in this thread fails.
    """
    reason = "Playwright isn't installed: pip install -e '.[dev]'"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=_executable(driver.chromium.executable_path),
            # Containers give processes little shared memory, and often run them as root.
            args=["--disable-dev-shm-usage"],
            chromium_sandbox=False,
        )
        try:
            yield Browser(chromium)
        finally:
            chromium.close()


def _executable(downloaded: str) -> str:
    """Find Chromium; skip the test where there is none."""
    named = os.environ.get("CHROMIUM")
    on_path = (shutil.which(name) for name in ([named] if named else NAMES))
    found = next((path for path in on_path if path), None)
    if found is None and not named and Path(downloaded).exists():
        found = downloaded
    if found is None:
        pytest.skip(f"there is no {named or 'Chromium'} here: install it, or run "
                    "`playwright install chromium`")  # fmt: skip
    return found
