"""The comment that an SQL file begins with, as prose: what Dagit says of a table before it shows the SQL."""

from __future__ import annotations

import re

MARK = "--"
_SENTENCE_ENDS = re.compile(r"(?<=[.]) (?=[A-Z])")


def described(sql: str) -> str:
    """Return a SQL file's text as Markdown: its first comment's first sentence, the rest of it, the SQL without it."""
    lines = sql.strip().splitlines()
    head = next((number for number, line in enumerate(lines) if not line.startswith(MARK)), len(lines))
    prose = " ".join(line.removeprefix(MARK).strip() for line in lines[:head])
    code = "\n".join(lines[head:]).strip()
    sentence, *rest = _SENTENCE_ENDS.split(prose, maxsplit=1)
    return "\n\n".join([*filter(None, [sentence, *rest]), f"```sql\n{code}\n```"])
