"""Named automation policies: when the daemon builds what. No asset writes a condition of its own.

`eager()` alone looks only at the checks of its own run: it would build on top of data whose blocking
check failed an hour ago. So every policy here ends in `all_deps_blocking_checks_passed()`.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

Condition = dg.AutomationCondition[Any]


def on_schedule(cron: str, time_zone: str) -> Condition:
    """Once per cron tick, as soon as nothing above is missing, being built, or has failed a blocking check.

    Not `on_cron`: that waits until *every* dependency was updated since the tick, and a catalogue
    that is imported once a week would hold back every hourly model. Whatever is due in the same tick
    joins one run in the order of the graph.
    """
    tick: Condition = dg.AutomationCondition.cron_tick_passed(cron, time_zone)
    return (
        tick.since_last_handled()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    ).with_label(f"on schedule {cron}")


def on_change() -> Condition:
    """As soon as something above was updated and passed its blocking checks."""
    return (dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()).with_label(
        "on change"
    )


def at_source(cron: str, time_zone: str) -> Condition:
    """For what has nothing above: at every cron tick, and once where it was never built."""
    tick: Condition = dg.AutomationCondition.cron_tick_passed(cron, time_zone)
    # outside of since_last_handled, which begins to count only after the first look
    new: Condition = dg.AutomationCondition.missing() & dg.AutomationCondition.initial_evaluation()
    due: Condition = tick.since_last_handled() | new
    return (~dg.AutomationCondition.in_progress() & due).with_label(f"at source {cron}")
