"""Small pictures for Dagit, where a person would rather look than read. Numbers in, PNG bytes out.

Margins are fixed: to find them for each picture (a constrained layout) takes as long as the picture itself.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib costs 0.3 s and is needed only where something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, ACCENT, GRID = "#1f2933", "#0b7285", "#d9e2ec"


def popularity_curve(scores: list[float], title: str) -> bytes:
    """Plot scores against rank: how steep the head is and how long the tail."""
    figure, axes = _figure()
    axes.fill_between(range(1, len(scores) + 1), scores, color=ACCENT, alpha=0.25)
    axes.plot(range(1, len(scores) + 1), scores, color=ACCENT, linewidth=1.8)
    axes.set(title=title, xlabel="rank", ylabel="score")
    return _png(figure)


def metric_over_builds(times: list[Any], values: list[float], floors: list[Any], title: str) -> bytes:
    """Plot one offline metric over the builds, with the popularity floor below it."""
    figure, axes = _figure()
    axes.plot(times, values, color=ACCENT, marker="o", linewidth=1.8, label="model")
    if any(floor is not None for floor in floors):
        axes.plot(times, floors, color="#868e96", marker=".", linestyle="--", label="popularity")
    axes.set(title=title, ylabel="HR@10")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _date(axes)
    return _png(figure)


def events_per_day(days: list[Any], counts: list[int], title: str) -> bytes:
    """Plot events a day; a hole or a cliff is seen at once."""
    figure, axes = _figure()
    axes.fill_between(days, counts, step="mid", color=ACCENT, linewidth=0)  # one shape: 365 bars cost a second
    axes.set_ylim(bottom=0)
    axes.set(title=title, ylabel="events")
    _date(axes)
    return _png(figure)


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), dpi=90)
    axes = figure.add_axes((0.12, 0.19, 0.85, 0.69))
    axes.grid(color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)
    axes.title.set_color(INK)
    return figure, axes


def _date(axes: Axes) -> None:
    """Write dates below the plot, few and short enough that none covers another."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_fontsize(8)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
