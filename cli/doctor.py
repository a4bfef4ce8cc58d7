"""`gstalker doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

MARKS = {"ok": "[green]ok[/]    ", "absent": "[yellow]absent[/]", "broken": "[bold red]broken[/]"}


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, which devices and back ends will be used, what is missing and how to get it.

    Exit code 0 unless the base install itself is broken.
    """

    def run(self) -> int:
        from gstalker.runtime.doctor import examine

        findings = examine()
        console = Console(highlight=False)
        width = max(len(f.topic) for f in findings)
        for finding in findings:
            line = f"{MARKS[finding.state]} {finding.topic:<{width}}  {escape(finding.detail)}"
            console.print(line, soft_wrap=True)
            if finding.advice:
                console.print(" " * (width + 9) + f"[cyan]-> {escape(finding.advice)}[/]", soft_wrap=True)
        return int(any(f.topic == "base" and f.state == "broken" for f in findings))
