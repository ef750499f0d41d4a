"""`personalization build`: refreshes websites with a progress bar and says what came out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from personalization_pipelines.commands.refresh import RefreshReport, refresh, step_count
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build


def build_websites(
    home: Home, websites: Sequence[Website], *, as_of: datetime | None, select: str | None, console: Console
) -> bool:
    """Refresh each website; a failing one does not stop the others. True if all succeeded."""
    reports = [_build(home, website, as_of=as_of, select=select, console=console) for website in websites]
    return all(report.ok for report in reports)


def _build(
    home: Home, website: Website, *, as_of: datetime | None, select: str | None, console: Console
) -> RefreshReport:
    began = perf_counter()
    moment = as_of.replace(tzinfo=website.zone) if as_of else None
    columns = (TextColumn("{task.description:36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("loading", total=step_count(website))

        def on_step(name: str) -> None:
            progress.update(task, advance=1, description=name)

        report = refresh(home, website, as_of=moment, select=select, on_step=on_step)
    seconds = perf_counter() - began
    if report.ok:
        console.print(
            f"[green]✓[/] {website.name}: {report.steps} steps in {seconds:.1f} s, {_where(home, website, moment)}"
        )
    say_failures(console, report)
    return report


def say_failures(console: Console, report: RefreshReport) -> None:
    """Say what failed, what that means, and where one sees more."""
    for failure in report.failures:
        console.print(f"✗ {report.website}: {failure}", style="red", markup=False)
    if report.failures:
        console.print("what was published before keeps serving", style="yellow")
    if report.failures and report.run_id:
        console.print(f"the whole log: `personalization dev`, then http://127.0.0.1:3000/runs/{report.run_id}")


def _where(home: Home, website: Website, moment: datetime | None) -> str:
    if moment:
        return f"rebuilt in {Build(home, website, moment, rebuild=True).root}; what serves is as it was"
    from personalization_pipelines.publications.write.publishing import current

    directory = current(home, website)
    return f"publication {directory.name}" if directory else "no publication yet"
