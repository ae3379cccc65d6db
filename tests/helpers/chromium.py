"""A headless Chromium from Debian's packages, installed by the tests and driven by Playwright without a network."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAM = "chromium"
FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def install() -> str:
    """Install the browser if it is missing; return why it cannot be used, or an empty string."""
    if shutil.which(PROGRAM):
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"no {PROGRAM}: install the Debian package of this name (the tests do it as root)"
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", PROGRAM]):
        done = subprocess.run(["apt-get", "-qq", *command], capture_output=True, text=True, env=environment)
        if done.returncode:
            return f"no {PROGRAM}: apt-get {command[0]} failed: {done.stderr.strip().splitlines()[-1:]}"
    return ""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A running browser; root has no sandbox."""
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(PROGRAM), headless=True, args=flags)
        yield browser
        browser.close()
