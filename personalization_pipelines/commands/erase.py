"""`personalization erase`: forgets a user everywhere, refreshes the website, and shows the receipt."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from personalization_pipelines.commands.build import say_failures
from personalization_pipelines.commands.logins import known_visitor
from personalization_pipelines.commands.refresh import refresh, step_count
from personalization_pipelines.commands.tables import Shown, Table
from personalization_pipelines.erasure.applying import apply_tombstones, complete_tombstones
from personalization_pipelines.erasure.receipts import PLACES, STORED, Receipt, receipt_of
from personalization_pipelines.erasure.tombstones import bury
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

SEALED_AFTER = 75.0
"""Seconds; a running server seals its segment of the log within a minute."""


def erase_user(home: Home, website: Website, user: str, notes: Console, patience: float = SEALED_AFTER) -> Receipt:
    """Forget a user id or token (`~…`) everywhere; what the receipt misses the next refresh goes on with.

    Raises InvalidIdentifier where the user is nobody.
    """
    (stone,) = bury(home, website.name, [known_visitor(home, website, user)])
    columns = (TextColumn("{task.description:36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as progress:
        task = progress.add_task("loading", total=step_count(website))

        def on_step(name: str) -> None:
            progress.update(task, advance=1, description=name)

        report = refresh(home, website, on_step=on_step)
        until = time.monotonic() + patience
        while (receipt := receipt_of(home, website, stone)).missing and report.ok:
            if time.monotonic() > until or not set(receipt.missing) & set(STORED):
                break
            progress.update(task, description=f"waiting for the {receipt.missing[0]}")
            time.sleep(1.0)
            apply_tombstones(home, website)
            complete_tombstones(Build(home, website, datetime.now(UTC)))
    say_failures(notes, report)
    if receipt.missing:
        notes.print("not erased everywhere yet: the next refresh that succeeds goes on", style="yellow")
    return receipt


def receipt_table(website: Website, receipt: Receipt) -> Table:
    """Return a receipt as a table: every place, and since when it is clean."""
    rows = [{"place": place, "clean_since": receipt.clean.get(place)} for place in PLACES]
    columns = (
        Shown("place", lambda row: row["place"]),
        Shown(
            "clean since (UTC)",
            lambda row: f"{row['clean_since']:%Y-%m-%d %H:%M:%S}" if row["clean_since"] else "not yet",
        ),
    )
    return Table(f"{website.name}: erasure {receipt.id}", ("place", "clean_since"), rows, columns)
