"""What runs beside a build: it answers, it fails as if it had been called here, and it never outlives the build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import CorruptData, TransientError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.quality.beside import Beside


class Odd(Exception):
    """Can be pickled, but not made again from its text."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def fail(sentence: str) -> None:
    raise CorruptData(sentence)


def fail_oddly() -> None:
    raise Odd("a", "b")


def end(status: int) -> None:
    os._exit(status)


def say(text: str) -> str:
    print(text)
    return text


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    started = Beside()
    yield started
    started.stop()


def test_a_call_is_answered_by_another_process_which_stays(beside: Beside) -> None:
    first, second = beside.call(os.getpid), beside.call(os.getpid)
    assert first == second != os.getpid()


def test_a_failure_is_raised_as_if_it_happened_here(beside: Beside) -> None:
    with pytest.raises(CorruptData, match="rows are missing"):
        beside.call(fail, "rows are missing")
    with pytest.raises(RuntimeError, match="Odd: ab"):
        beside.call(fail_oddly)


def test_what_a_library_prints_does_not_disturb_the_answers(beside: Beside, capfd: pytest.CaptureFixture[str]) -> None:
    assert beside.call(say, "a progress bar") == "a progress bar"
    assert capfd.readouterr().out == ""


def test_a_death_is_a_transient_error_and_the_next_call_is_answered(beside: Beside) -> None:
    with pytest.raises(TransientError, match="ended with status 7 while it ran end"):
        beside.call(end, 7)
    os.kill(beside.call(os.getpid), signal.SIGKILL)
    time.sleep(0.1)
    assert beside.call(say, "again") == "again"


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, time; from personalization_pipelines.quality.beside import beside; print(beside.call(os.getpid)); "
    )
    child = subprocess.Popen([sys.executable, "-c", code + "print('', flush=True); time.sleep(60)"], stdout=-1)
    with child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        child.kill()
    wait_for_the_end(pid)


def test_it_is_started_ahead_where_something_changed_since_the_last_check(home: Home) -> None:
    code = "import sys; from pathlib import Path; from personalization_pipelines.foundation.home import Home; "
    code += "from personalization_pipelines.commands.ahead import start_ahead; "
    code += "from personalization_pipelines.quality.beside import beside; "
    code += (
        "start_ahead(Home(Path(sys.argv[1])), ['shop']); print(beside._process is not None, 'dagster' in sys.modules)"
    )
    run = [sys.executable, "-c", code, str(home.root)]
    (home.websites / "shop.yaml").write_text("")
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "True False\n"
    features = home.lake("shop") / "features"
    features.mkdir(parents=True)
    (features / "items.checked.json").write_text("{}")
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "False False\n"


def wait_for_the_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs")
