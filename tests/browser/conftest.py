"""A real Chromium, where there is one; elsewhere these tests are skipped, and say why."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: The system's own browser, as Debian calls it.
CHROMIUM = "chromium"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: No step of these tests takes this long, even on a busy machine.
PATIENCE_MS = 60_000
LOOK_EVERY_MS = 50

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, for one module only: its driver keeps an event loop running, beside which no other can."""
    found = shutil.which(CHROMIUM)
    if found is None:
        pytest.skip("no chromium on this machine; `make browser` installs Debian's")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=[*ARGUMENTS], timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """Open a page in a new profile, at a size, in a language and a colour scheme; it may complain of nothing."""
    contexts = []
    complaints: list[str] = []

    def open_page(address: Path | str, *, width: int = 1280, height: int = 800, **context: Any) -> Page:
        settings = {"locale": "en-US", "color_scheme": "light", "permissions": ["clipboard-read", "clipboard-write"]}
        made = chromium.new_context(viewport={"width": width, "height": height}, **settings | context)
        contexts.append(made)
        made.set_default_timeout(PATIENCE_MS)
        page = made.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type in {"error", "warning"} else None)
        page.on("request", lambda asked: complaints.append(asked.url) if not _own(asked.url) else None)
        page.goto(address.as_uri() if isinstance(address, Path) else address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # Pictures that are not beside the page, or whose server has ended with its run.
    gone = ("ERR_FILE_NOT_FOUND", "ERR_CONNECTION_REFUSED")
    assert [each for each in complaints if not any(word in each for word in gone)] == []


def until(page: Page, expression: str) -> None:
    """Wait for an expression to be true; the driver's own way of waiting is code that the page's policy forbids."""
    for _ in range(PATIENCE_MS // LOOK_EVERY_MS):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(LOOK_EVERY_MS)
    raise AssertionError(f"it never became true: {expression}")


def _own(url: str) -> bool:
    return url.startswith(("file:", "data:", "http://127.0.0.1:"))
