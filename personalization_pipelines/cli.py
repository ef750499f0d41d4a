"""The `personalization` command. Each command is a few calls; what they do lives in the stages.

Imports stay inside the commands: `serve` must not pay for Dagster, `--help` for nothing at all.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from personalization_pipelines import __version__
from personalization_pipelines.commands.tables import Format, format_option, print_table
from personalization_pipelines.content.files.formats import DOCUMENTS, format_names
from personalization_pipelines.foundation.errors import DiskUnavailable, PersonalizationError
from personalization_pipelines.foundation.home import Home

if TYPE_CHECKING:
    from personalization_pipelines.content.catalogue.items import Mode
    from personalization_pipelines.content.files.read_files import FileFormat
    from personalization_pipelines.website import Website

console = Console(highlight=False)
notes = Console(stderr=True, highlight=False)
"""For what is said beside a result that a program may read."""

PORT = click.IntRange(1, 65535)


def command(group: click.Group, name: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """Register a command whose expected failures end in one sentence and exit code 1."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except PersonalizationError as error:
                raise click.ClickException(str(error)) from error
            except BrokenPipeError:
                raise  # click knows: who read has seen enough
            except OSError as error:
                raise click.ClickException(str(DiskUnavailable.of(error))) from error

        return group.command(name)(run)

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """A self-hosted personalization service. State lives in PERSONALIZATION_HOME (./.personalization)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name of a file may hold bytes that are no UTF-8
            stream.reconfigure(errors="backslashreplace")
    for each in (console, notes):
        each.soft_wrap = not each.is_terminal  # lines in a file or a pipe end where they end


@command(main)
@click.option("--website", "name", default="my-shop", show_default=True, help="Name of the example website.")
def init(name: str) -> None:
    """Create the installation key and a commented website file."""
    from personalization_pipelines.website.example import example_text, free_customer_id

    home = Home.from_environment()
    text = example_text(name, free_customer_id(home.websites))
    new = home.create()
    path = home.websites / f"{name}.yaml"
    if path.exists():
        console.print(f"{path} is there already and stays as it is", style="yellow", markup=False)
    else:
        path.write_text(text)
    console.print(f"installation key: {home.root / 'key'} ({'created' if new else 'kept'})")
    console.print(f"website file:     {path}")
    console.print(f"next: edit it, then `personalization import items --website {name} FILE`")


@command(main)
@click.option("--schema", is_flag=True, help="Print the JSON schema of a website file (for editors) and stop.")
@click.option("--website", "name", help="Only this website.")
def check(schema: bool, name: str | None) -> None:
    """Validate the configuration, show what the next build would change, run the recommendation tests."""
    from personalization_pipelines.commands import check as checking
    from personalization_pipelines.website.json_schema import json_schema

    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return
    report = checking.check(Home.from_environment(), only=name)
    for line in report.lines:
        console.print(line, markup=False)
    if not report.passed:
        sys.exit(1)


@main.group("import")
def import_group() -> None:
    """Import items, events or users from Parquet, CSV or JSON lines; items from XML and a CMS's JSON, too."""


def _import_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.argument("files", nargs=-1, required=True),
        click.option(
            "--format",
            type=click.Choice([*format_names(), *DOCUMENTS]),
            help="How the files are written, where their names do not say it; xml and export hold items.",
        ),
        click.option("--mapping", help="A mapping file, or the name of a shipped mapping, for foreign columns."),
        click.option("--website", "name", required=True, help="The website that gets the data."),
    ):
        function = option(function)
    return function


@command(import_group, "items")
@_import_options
@click.option("--mode", type=click.Choice(["full", "incremental"]), default="full", show_default=True)
@click.option("--force", is_flag=True, help="Import although a gate on items says no.")
def import_items_command(
    name: str, mapping: str | None, format: FileFormat | None, files: tuple[str, ...], mode: Mode, force: bool
) -> None:
    """Import the catalogue."""
    from personalization_pipelines.content.catalogue.items import import_items

    home = Home.from_environment()
    _run_import(home, name, lambda website, progress: import_items(
        home, website, list(files), mapping=mapping, format=format, mode=mode, force=force, progress=progress
    ))  # fmt: skip


@command(import_group, "events")
@_import_options
@click.option("--shift-to-now", is_flag=True, help="Move all times by whole days so that the newest is today.")
@click.option("--skip-equal", is_flag=True, help="Store only rows that do not equal events that are stored already.")
@click.option(
    "--force",
    is_flag=True,
    help="Import although the file was imported with other options, or most of its rows are stored: counts twice.",
)
def import_events_command(
    name: str,
    mapping: str | None,
    format: FileFormat | None,
    files: tuple[str, ...],
    shift_to_now: bool,
    skip_equal: bool,
    force: bool,
) -> None:
    """Import historical events."""
    from personalization_pipelines.content.files.import_events import import_events

    home = Home.from_environment()
    _run_import(home, name, lambda website, progress: import_events(
        home, website, list(files), mapping=mapping, format=format, shift_to_now=shift_to_now,
        skip_equal=skip_equal, force=force, progress=progress,
    ))  # fmt: skip


@command(import_group, "users")
@_import_options
@click.option("--source", default="import", show_default=True, help="Whose attributes these are.")
def import_users_command(
    name: str, mapping: str | None, format: FileFormat | None, files: tuple[str, ...], source: str
) -> None:
    """Import user attributes."""
    from personalization_pipelines.content.users.user_tables import import_users

    home = Home.from_environment()
    _run_import(home, name, lambda website, progress: import_users(
        home, website, list(files), mapping=mapping, format=format, source=source, progress=progress
    ))  # fmt: skip


@command(main)
@click.option("--website", "name", help="Only this website; default: all.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Rebuild a past moment, beside.")
@click.option("--select", metavar="MODEL", help="Only this model, what it needs, and the publication.")
def build(name: str | None, as_of: datetime | None, select: str | None) -> None:
    """Refresh: events, features, models, scenarios, publication."""
    from personalization_pipelines.commands.build import build_websites

    home = Home.from_environment()
    websites = [_website(home, name)] if name is not None else _websites(home)
    if not build_websites(home, websites, as_of=as_of, select=select, console=console):
        sys.exit(1)


@command(main)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=PORT)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Server processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve tracking and recommendations, and follow the log into the live store."""
    from serving.server import serve as run

    run(Home.from_environment(), host=host, port=port, workers=workers)


@command(main)
@click.option("--port", default=8090, show_default=True, type=PORT, help="Port of the server.")
@click.option(
    "--dagit-port", default=3000, show_default=True, type=PORT, help="Port of Dagit; it has no login, so 127.0.0.1."
)
def dev(port: int, dagit_port: int) -> None:
    """Run Dagit with its daemon, and the server."""
    from personalization_pipelines.commands.dev import run

    run(Home.from_environment(), port=port, dagit_port=dagit_port, console=console)


@command(main)
@click.option("--port", default=8080, show_default=True, type=PORT)
@click.option("--build-only", is_flag=True, help="Import and build, then stop.")
def demo(port: int, build_only: bool) -> None:
    """A shop with real-looking purchases (Complete Journey), built, served, and open to click through."""
    from personalization_pipelines.commands.demo import run

    run(Home.from_environment(), port=port, build_only=build_only, console=console)


@command(main)
@click.argument("website")
@click.argument("scenario")
@click.option("--user", default="nobody", show_default=True)
@click.option("--context", default="", help="Item ids, comma-separated, or history codes such as BASKET.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 50))
@click.option("--lang", default="", help="Only items that exist in this language.")
@click.option("--explain", is_flag=True, help="Say for each item why it is there.")
def recommend(website: str, scenario: str, user: str, context: str, count: int, lang: str, explain: bool) -> None:
    """Answer a question from the current publication, as the server would."""
    from serving.recommending.preview import answer_json

    home = Home.from_environment()
    site = _website(home, website)
    click.echo(answer_json(home, site, scenario, user, context, count=count, explain=explain, language=lang))


@command(main)
@click.argument("website")
@click.option("--model", help="Only this model.")
@format_option
def evaluate(website: str, model: str | None, format: Format) -> None:
    """Print the offline evaluation of the current models."""
    from personalization_pipelines.commands.evaluate import evaluation_table

    home = Home.from_environment()
    print_table(console, evaluation_table(home, _website(home, website), model), format)


@command(main)
@click.argument("website")
@click.option("--rollback", metavar="ID", help="Serve this earlier publication again.")
@format_option
def publications(website: str, rollback: str | None, format: Format) -> None:
    """List the kept publications, or put one back."""
    from personalization_pipelines.commands.publications import publications_table
    from personalization_pipelines.publications.write.publishing import rollback as put_back

    home, site = Home.from_environment(), _website(Home.from_environment(), website)
    if rollback is not None:
        put_back(home, site, rollback)
    print_table(console, publications_table(home, site), format)


@command(main)
@click.argument("website")
@click.option("--user", help="Only logins from or to this user id or token.")
@click.option("--undo", nargs=2, metavar="SOURCE TARGET", help="Make all logins of one user to another count nothing.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, the newest ones.")
@format_option
def logins(website: str, user: str | None, undo: tuple[str, str] | None, limit: int, format: Format) -> None:
    """List the logins that gave one user's history to another, or undo one."""
    from personalization_pipelines.commands.logins import logins_table, undo_logins

    home = Home.from_environment()
    site = _website(home, website)
    if undo:
        console.print(f"{undo_logins(home, site, *undo)} logins undone; in what is built, from the next build on")
    else:
        print_table(console, logins_table(home, site, user, limit), format)


@command(main)
@click.argument("website")
@click.option("--kind", type=click.Choice(["items", "events", "users"]), help="Only imports of these.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, the newest ones.")
@format_option
@click.option("--json", "as_json", is_flag=True, help="Short for `--format json`: everything that is known of them.")
def imports(website: str, kind: str | None, limit: int, format: Format, as_json: bool) -> None:
    """List imports, refused ones too: what they changed, what was rejected and why, where the rejects are."""
    from personalization_pipelines.commands.imports import imports_table, newest_imports

    home = Home.from_environment()
    site = _website(home, website)
    table = imports_table(home, site, newest_imports(home, site, kind, limit))
    print_table(console, table, "json" if as_json else format)


@command(main)
@click.argument("website")
@click.argument("user")
@format_option
def erase(website: str, user: str, format: Format) -> None:
    """Forget a user id or token everywhere, refresh the website, and show the receipt."""
    from personalization_pipelines.commands.erase import erase_user, receipt_table

    home = Home.from_environment()
    site = _website(home, website)
    receipt = erase_user(home, site, user, notes)
    print_table(console, receipt_table(site, receipt), format)
    if receipt.missing:
        sys.exit(1)


def _website(home: Home, name: str) -> Website:
    from personalization_pipelines.foundation.errors import ConfigurationError
    from personalization_pipelines.website.load import load_websites

    websites, broken = load_websites(home)
    if name in broken:
        raise broken[name]
    if name not in websites:
        known = ", ".join(sorted(websites)) or "none; `personalization init` makes one"
        raise ConfigurationError(f"no website {name!r} in {home.websites}; there is: {known}")
    return websites[name]


def _websites(home: Home) -> list[Website]:
    from personalization_pipelines.foundation.errors import ConfigurationError
    from personalization_pipelines.website.load import load_websites

    websites, broken = load_websites(home)
    for error in broken.values():
        console.print(str(error), style="red", markup=False)
    if not websites:
        raise ConfigurationError(f"no usable website in {home.websites}; `personalization init` makes one")
    return list(websites.values())


def _run_import(home: Home, name: str, run: Callable[[Website, Any], Any]) -> None:
    from personalization_pipelines.content.report import print_report
    from personalization_pipelines.foundation.progress import terminal_progress

    website = _website(home, name)
    with terminal_progress(console) as progress:
        report = run(website, progress)
    print_report(console, report)
