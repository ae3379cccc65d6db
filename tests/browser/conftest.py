"""Pages of reports in a real browser. Every test fails if the page makes a request or the browser has a complaint."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from helpers import chromium
from helpers.pipeline_fixtures import tiny as tiny
from overtop.report.document import Document
from overtop.report.page import render_page
from report.example import example_document

HERE = Path(__file__).parent
VISIBLE_TIMEOUT_MS = 5000

OpenReport = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a file: Playwright's event loop would disturb tests of others."""
    reason = chromium.install()
    if reason:
        pytest.skip(reason)
    with chromium.running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def example() -> Document:
    """The example, which no test changes."""
    return example_document()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[OpenReport]:
    """A function that opens a document, or a file, over file:// and without a network."""
    contexts, complaints = [], []

    def open_page(report: Document | Path, *, width: int = 1280, address: str = "", **options: Any) -> Page:
        path = report if isinstance(report, Path) else tmp_path / "report.html"
        if isinstance(report, Document):
            path.write_text(render_page(report), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
        context.set_default_timeout(VISIBLE_TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        allowed = (path.as_uri(), "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(allowed) or complaints.append(request.url))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri() + address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """The source of axe-core, installed from npm into pytest's cache."""
    folder = request.config.cache.mkdir("axe")
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    lock = (HERE / "package-lock.json").read_text()
    if not source.exists() or (folder / "package-lock.json").read_text() != lock:
        if not shutil.which("npm"):
            pytest.skip("no npm, which installs the accessibility checker axe-core (Debian package npm)")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm could not install axe-core: {done.stderr.strip()[:200]}")
    return source.read_text(encoding="utf-8")
