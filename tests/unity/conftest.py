"""The compiler, installed once for all runs, and the package, compiled once a run."""

from __future__ import annotations

import csharp_toolchain
import pytest
from csharp_toolchain import Toolchain
from helpers.unity_build import UnityBuild, build_package

from gstalker.bridge.free_port import free_port


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """Installed into .cache/csharp once; the tests are skipped where it cannot be had."""
    try:
        return csharp_toolchain.install()
    except csharp_toolchain.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def unity_build(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> UnityBuild:
    """GStalker.Protocol and GStalker.Transport, the package's tests, and the programs."""
    return build_package(toolchain, tmp_path_factory.mktemp("unity"))


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """The first of two neighbouring ports that are free now."""
    return free_port()
