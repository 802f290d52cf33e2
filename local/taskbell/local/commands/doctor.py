"""`taskbell doctor`: what is wrong with an installation, and what to do."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from taskbell.kit.logs import configure_logs
from taskbell.kit.settings import load
from taskbell.local.settings import LocalSettings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of lines.")] = False
) -> None:
    """Explain what is wrong with this installation and what to do; exit status 1 if something fails."""
    from taskbell.local.diagnosis import diagnose  # noqa: PLC0415 -- Alembic; other commands start faster without

    configure_logs(service="doctor", level="ERROR")
    findings = asyncio.run(diagnose(load(LocalSettings), os.environ))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(f"{finding.severity:<5}", style=_COLOURS[finding.severity], end="")
            console.print(f"{finding.name}: {finding.detail}", markup=False)
            if finding.remedy:
                console.print(f"     -> {finding.remedy}", markup=False, style="dim")
    if any(finding.severity == "fail" for finding in findings):
        raise typer.Exit(1)
