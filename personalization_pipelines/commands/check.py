"""`personalization check`: is the configuration valid, what would change, do the recommendation tests hold."""

from __future__ import annotations

from dataclasses import dataclass

from personalization_pipelines.content.files.mapping import load_mapping, source_mapping
from personalization_pipelines.content.report import Kind
from personalization_pipelines.foundation.errors import ImportRefused, PersonalizationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.gates import check_gates
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.write.publishing import current
from personalization_pipelines.scenarios.plan import Plan, make_plan
from personalization_pipelines.website import Website
from personalization_pipelines.website.load import load_websites, website_line
from personalization_pipelines.website.values import Source
from serving.recommending.preview import answering


@dataclass(frozen=True)
class CheckReport:
    """What to print, and whether everything is in order."""

    lines: tuple[str, ...]
    passed: bool


def check(home: Home, *, only: str | None = None) -> CheckReport:
    """Check all websites of a home, or `only` one."""
    websites, broken = load_websites(home)
    lines: list[str] = []
    passed = True
    for name, error in sorted(broken.items()):
        if only in (None, name):
            passed = False
            lines += [f"✗ {name}", *(f"    {line}" for line in str(error).splitlines())]
    chosen = [website for name, website in sorted(websites.items()) if only in (None, name)]
    for website in chosen:
        report = _check(home, website)
        passed &= report.passed
        lines += report.lines
    if not lines:
        return CheckReport((f"no website {only or ''} in {home.websites}; `personalization init` makes one",), False)
    return CheckReport(tuple(lines), passed)


def _check(home: Home, website: Website) -> CheckReport:
    try:
        plan = make_plan(website)
    except PersonalizationError as error:
        return CheckReport((f"✗ {website.name}: {error}",), False)
    if missing := source_problems(home, website):
        return CheckReport((f"✗ {website.name}", *(f"    {line}" for line in missing)), False)
    head = f"✓ {website.name}: {len(website.models)} models, {len(website.scenarios)} scenarios"
    heads = [head, *(f"    ⚠ {warning}" for warning in warnings(website))]
    directory = current(home, website)
    if directory is None:
        return CheckReport((*heads, "    nothing published yet: the next build makes everything"), True)
    publication = Publication.open(directory)
    changes = [f"    {line}" for line in changed(publication.plan, plan)]
    failing = _failing_tests(home, publication, website)
    tests = [f"    {len(website.tests) - len(failing)} of {len(website.tests)} recommendation tests hold"]
    lines = (
        *heads,
        *(changes or ["    no change to what is published"]),
        *tests,
        *(f"    ✗ {test}" for test in failing),
    )
    return CheckReport(lines, not failing)


def warnings(website: Website) -> list[str]:
    """Return a sentence for each thing that is no error and that some client will stumble over."""
    customer = website.customer_id
    if not customer.isdigit() or customer == str(int(customer)):
        return []
    return [
        f'customer_id "{customer}" begins with zeros: clients that send it as a number, as the official PHP client '
        f"does, ask for {int(customer)} and get 404; where you use one, choose an id without leading zeros"
    ]


def source_problems(home: Home, website: Website) -> list[str]:
    """Return a `file:line: key: sentence` line for each source whose mapping an import could not read."""
    lines: list[str] = []
    kinds: tuple[tuple[str, Kind, list[Source]], ...] = (
        ("content", "items", website.content.sources),
        ("events", "events", website.events.sources),
    )
    for section, kind, sources in kinds:
        for position, source in enumerate(sources):
            try:
                load_mapping(kind, source_mapping(home, source.mapping))
            except ImportRefused as error:
                where = website_line(home, website, (section, "sources", position, "mapping"))
                lines += [f"{where}: {section}.sources[{position}].mapping: {line}" for line in str(error).splitlines()]
    return lines


def changed(published: Plan, wanted: Plan) -> list[str]:
    """Return a line for each model and scenario that the next build adds, removes or changes."""
    lines: list[str] = []
    kinds = (("model", published.models, wanted.models), ("scenario", published.scenarios, wanted.scenarios))
    for kind, old, new in kinds:
        lines += [f"+ {kind} {name}" for name in sorted(new.keys() - old.keys())]
        lines += [f"- {kind} {name}" for name in sorted(old.keys() - new.keys())]
        lines += [f"~ {kind} {name}" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    if published.output_attributes != wanted.output_attributes:
        lines.append("~ output attributes")
    return lines


def _failing_tests(home: Home, publication: Publication, website: Website) -> list[str]:
    gates = check_gates(publication, website, serving_items=None, answer=answering(home, website))
    return [f"{gate.name}: {gate.detail}" for gate in gates if gate.name.startswith("test ") and not gate.passed]
