"""`gstalker devices`: the sound devices that --audio mic can listen to."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Devices:
    """List the sound devices of this machine; give a number or part of a name as --audio mic:DEVICE."""

    def run(self) -> None:
        """Print them."""
        from gstalker.bridge.inputs.microphone import find_device, list_devices

        find_device("")  # says what to do where there is none
        table = Table("", "number", "name", "channels", "rate, Hz", "system")
        for device in list_devices():
            mark = "default" if device.default else ""
            row = (str(device.number), device.name, str(device.channel_count), str(device.rate_hz), device.host_api)
            table.add_row(mark, *row)
        Console(highlight=False).print(table)
