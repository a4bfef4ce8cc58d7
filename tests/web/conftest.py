"""One headless Chromium and one web server for all tests of the browser client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.browser import Browser, Page, find_chromium

from gstalker.bridge.free_port import free_port
from gstalker.bridge.web.server import WebServer, start_web

ARTEFACTS = Path(__file__).resolve().parents[2] / "out" / "tests" / "web"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium: install it, or name one in GSTALKER_CHROMIUM")
    with Browser(executable) as browser:
        yield browser


@pytest.fixture(scope="session")
def files_only() -> Iterator[WebServer]:
    """The page's files; the avatar server that it would relay does not run."""
    with start_web("tcp://127.0.0.1:9", port=0) as web:
        yield web


@pytest.fixture
def bare_page(browser: Browser, files_only: WebServer) -> Iterator[Page]:
    """A page of the site that starts nothing by itself, to try single modules in."""
    page = browser.page(files_only.url + "licences.html")
    yield page
    page.close()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where pictures that a person should look at are kept."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS


@pytest.fixture(scope="session")
def two_free_ports() -> Callable[[], int]:
    """Finds a port that is free together with the next one."""
    return free_port
