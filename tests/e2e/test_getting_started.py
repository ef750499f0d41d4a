"""docs/getting-started.md, typed as it is written: its two files, its commands, and the answer that it promises."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.shop import command, get, serving
from tests.made_documents import DOCS

pytestmark = pytest.mark.e2e

PAGE = (DOCS / "getting-started.md").read_text()


def test_the_page_leads_from_two_files_to_the_answer_it_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, purchases = re.findall(r"^```csv\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "items.csv").write_text(items)
    (tmp_path / "purchases.csv").write_text(purchases)
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    typed, served = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    answers = [command(home, *shlex.split(line)[2:]).stdout for line in typed.splitlines()]
    assert "rake" in answers[-1]
    (asked,) = re.findall(r"curl 'http://127.0.0.1:8080([^']+)'", served)
    with serving(home) as server:
        answer = get(server + asked)
    assert answer.items[0] == "rake"
    assert b"A rake" in answer.body
