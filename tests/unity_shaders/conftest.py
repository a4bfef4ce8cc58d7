"""The device that runs the Unity package's shaders, or the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from helpers.unity_shaders.software_vulkan import select_software_vulkan

if TYPE_CHECKING:
    from helpers.unity_shaders.gpu import Gpu


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    """The package's shaders on a Vulkan device; software Vulkan where tools/software_vulkan.sh fetched it."""
    pytest.importorskip("slangpy", reason="slangpy, which runs HLSL, has no wheel for this machine")
    select_software_vulkan()
    from helpers.unity_shaders.gpu import Gpu, open_device

    try:
        device = open_device()
    except RuntimeError as error:
        pytest.skip(
            f"no Vulkan device; tools/software_vulkan.sh fetches one on Debian and Ubuntu ({first_line(error)})"
        )
    return Gpu(device)


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
