"""Whatever is given to a command, and whatever its home is like: a sentence and exit code 1 or 2, nothing of a library.

Walks the tree of commands, so that one that is added later is in here from its first day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from personalization_pipelines.cli import main
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.example import example_text

LIBRARIES = re.compile(
    r"Traceback|sqlalchemy|sqlite3|pydantic|click\.|Errno|Input should be|duckdb\.|pyarrow|0x[0-9a-f]{6}"
)
STARTS = {"serve", "dev", "demo"}
"""With good values these run until they are ended: they are only given what must stop them."""
GOOD = {
    "name": "shop", "website": "shop", "scenario": "landing_page", "user": "ann", "files": "{files}/items.csv",
    "--undo": "ann",
}  # fmt: skip
NUMBERS = ["99999", "0", "-1", "99999999999999999999999", "1e3", "", "abc", "\0"]
TEXTS = ["", "\0", "nope", "../../etc/passwd", "x" * 5000, "\udcff", "[red]x[/]", "{files}", "{files}/binary", "'; --"]
FILES = [
    "", "\0", "{files}", "{files}/missing.csv", "{files}/binary", "{files}/empty.csv", "{files}/*.none", "x" * 5000,
    "s3://", "s3://\0/x", "{files}/socket.csv", "\udcff.csv", "{files}/**",
]  # fmt: skip
MAPPINGS = [
    "",
    "\0",
    "{files}",
    "{files}/missing.yml",
    "{files}/broken.yml",
    "{files}/binary",
    "{files}/list.yml",
    "x" * 5000,
]
DATES = ["0000-00-00", "2026-13-01", "x", "", "\0", "99999-01-01"]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def hostile(path: tuple[str, ...], parameter: click.Parameter) -> list[str]:
    """Return bad values for a parameter; for text, some that are only unusual."""
    if isinstance(parameter.type, click.IntRange):
        low, high = parameter.type.min, parameter.type.max
        return [one for one in NUMBERS if not (one.isascii() and one.isdigit() and low <= int(one) <= (high or 10**9))]
    if isinstance(parameter.type, click.DateTime):
        return DATES
    if isinstance(parameter.type, click.Choice):
        return ["", "nope", "\0", "x" * 5000]
    if parameter.name in ("files", "mapping"):
        return FILES if parameter.name == "files" else MAPPINGS
    if path == ("erase",) and parameter.name == "user":
        return ["", "\0", "x" * 5000, "not_defined", "~", "a\\b", "\udcff"]  # another one would be erased
    if path[0] in STARTS:  # --host
        return ["\0", "x" * 5000, "\udcff", "[::1"]
    return TEXTS


def good(command: click.Command, without: click.Parameter | None = None) -> list[str]:
    """Return words that give a command all it requires."""
    words: list[str] = []
    for parameter in command.params:
        if parameter is not without and parameter.required:
            option = [parameter.opts[0]] if isinstance(parameter, click.Option) else []
            words += [*option, GOOD[str(parameter.name)]]
    return words


def cases() -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for path, command in commands(main):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.is_flag:
                continue
            for value in hostile(path, parameter):
                if isinstance(parameter, click.Option):
                    yield path, [*good(command, parameter), parameter.opts[0], *[value] * parameter.nargs]
                else:  # arguments stand in their order
                    words = [value if one is parameter else GOOD[str(one.name)] for one in command.params
                             if isinstance(one, click.Argument)]  # fmt: skip
                    yield path, [*good_options(command), "--", *words]


def good_options(command: click.Command) -> list[str]:
    options = [one for one in command.params if isinstance(one, click.Option) and one.required]
    return [word for one in options for word in (one.opts[0], GOOD[str(one.name)])]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "items.csv").write_text("item_id,title\n1,a\n")
    (folder / "binary").write_bytes(bytes(range(256)) * 20)
    (folder / "empty.csv").write_bytes(b"")
    (folder / "socket.csv").mkdir()
    (folder / "broken.yml").write_text("kind: [\n\t- }")
    (folder / "list.yml").write_text("- 1\n- {a: 2}\n")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return install(tmp_path_factory.mktemp("installed") / "home")


def install(root: Path) -> Home:
    home = Home(root)
    home.create()
    (home.websites / "shop.yaml").write_text(example_text("shop"))
    return home


def run(home: Path, path: tuple[str, ...], words: list[str], files: Path, **environment: str) -> Result:
    arguments = [*path, *(word.replace("{files}", str(files)) for word in words)]
    return CliRunner().invoke(main, arguments, env={"PERSONALIZATION_HOME": str(home), **environment})


def problem(result: Result) -> str:
    """Return what is wrong with how a command ended, "" for nothing."""
    if not isinstance(result.exception, SystemExit | None):
        return f"{type(result.exception).__name__}: {result.exception}"
    if found := LIBRARIES.search(result.output):
        return f"says {found[0]!r}: {result.output}"
    if result.exit_code not in (0, 1, 2):
        return f"exit code {result.exit_code}"
    return "" if result.exit_code == 0 or len(result.output.strip()) > 20 else f"says only {result.output!r}"


@pytest.mark.parametrize("path", [path for path, _ in commands(main)], ids=" ".join)
def test_no_value_of_any_option_or_argument_shows_a_library(
    path: tuple[str, ...], installed: Home, files: Path
) -> None:
    wrong = []
    for words in [words for one, words in cases() if one == path]:
        result = run(installed.root, path, words, files)
        said = problem(result)
        if not said and path[0] in STARTS and result.exit_code == 0:
            said = "it started"
        wrong += [f"{' '.join(path)} {[word[:60] for word in words]}: {said}"] if said else []
    assert not wrong, "\n".join(wrong)


def a_file_for_a_home(home: Home) -> None:
    for path in sorted(home.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    home.root.rmdir()
    home.root.write_text("")


def no_key(home: Home) -> None:
    (home.root / "key").unlink()


def a_key_that_is_none(home: Home) -> None:
    (home.root / "key").write_bytes(b"\xff\xfe\0nothex")


def a_directory_for_a_key(home: Home) -> None:
    no_key(home)
    (home.root / "key").mkdir()


def a_binary_website(home: Home) -> None:
    (home.websites / "shop.yaml").write_bytes(bytes(range(256)))


def a_directory_for_a_website(home: Home) -> None:
    (home.websites / "shop.yaml").unlink()
    (home.websites / "shop.yaml").mkdir()


def a_file_for_the_lake(home: Home) -> None:
    (home.root / "lake").write_text("")


def broken_publications(home: Home) -> None:
    directory = home.publications("shop")
    directory.mkdir(parents=True)
    (directory / "CURRENT").write_bytes(b"\xff\0")


def broken_models_and_live_store(home: Home) -> None:
    home.models("shop").parent.mkdir()
    home.models("shop").write_text("")
    (home.root / "live.db").write_bytes(b"junk" * 5000)


def damaged_history(home: Home) -> None:
    (home.dagster / "history").mkdir(parents=True)
    (home.dagster / "history" / "runs.db").write_bytes(b"junk" * 5000)


def a_file_for_the_history(home: Home) -> None:
    home.dagster.rmdir()
    home.dagster.write_text("")


REFRESH = {"build", "erase"}
"""These try again for a quarter of a minute where a fault may pass."""
STOPS_REFRESH = (a_file_for_a_home, no_key, a_file_for_the_history, damaged_history)
STOPS_ALL = (a_file_for_a_home, a_key_that_is_none, a_directory_for_a_key)
FAULTS = (
    *STOPS_ALL, no_key, a_binary_website, a_directory_for_a_website, a_file_for_the_lake, broken_publications,
    broken_models_and_live_store, damaged_history, a_file_for_the_history,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_broken_home_shows_a_library(fault: object, tmp_path: Path, files: Path) -> None:
    wrong = []
    for path, command in commands(main):
        home = install(tmp_path / "-".join(path))
        fault(home)  # type: ignore[operator]
        if (path[0] in STARTS and fault not in STOPS_ALL) or (path[0] in REFRESH and fault not in STOPS_REFRESH):
            continue
        result = run(home.root, path, good(command), files)
        said = problem(result)
        if not said and fault in STOPS_ALL and path[0] in STARTS and result.exit_code == 0:
            said = "it started"
        wrong += [f"{' '.join(path)}: {said}"] if said else []
    assert not wrong, "\n".join(wrong)
