"""The tests, settings, metrics, make targets and chart values that the pages name exist."""

import json
import re
import tomllib
from pathlib import Path

import helm_python
import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_PAGES = [path for place in (".", "docs") for path in sorted((_ROOT / place).glob("*.md"))] + [
    path for folder in ("how-to", "adr", "runbooks") for path in sorted((_ROOT / "docs" / folder).glob("*.md"))
]
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_METRIC = (
    r"\b(taskbell_(?:api|relay|gateway|delivery|operator|bus|reminders|role)_\w+?)(?:_bucket|_sum|_count)?\b(?!\.)"
)
_STREAMS = {"TASKBELL_EVENTS", "TASKBELL_DEAD_LETTERS"}


def _named(pattern):
    """Every match of a pattern between backticks in the pages, with its place."""
    for page in _PAGES:
        for code in re.findall(r"`([^`\n]+)`", page.read_text()):
            for name in re.findall(pattern, code):
                yield f"{page.relative_to(_ROOT)}: {name}", name


def test_every_page_can_be_found():
    """Links from the README lead to every page."""
    found, ahead = set(), [_ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in found:
            found.add(page)
            targets = re.findall(r"\]\(([^)#:\s]+\.md)(?:#[^)]*)?\)", page.read_text())
            ahead += [(page.parent / target).resolve() for target in targets]
    pages = {*_PAGES, *(_ROOT / "docs" / "reference").glob("*.md")}
    assert len(pages) > 40
    assert {str(page.relative_to(_ROOT)) for page in pages - found} == set()


@pytest.mark.feature("M60")
def test_licence_and_support_are_stated():
    """The README, LICENSE and the package name the same licence, and the README tells where to ask."""
    assert "MIT licence. Questions and bugs: open an issue." in (_ROOT / "README.md").read_text()
    assert (_ROOT / "LICENSE").read_text().startswith("MIT License")
    assert tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["license"] == "MIT"


def _anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_links_to_headings_lead_to_one():
    """A link into a page names one of its headings."""
    links = [
        (page, page if not target else page.parent / target, anchor)
        for page in _PAGES
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", page.read_text())
    ]
    assert len(links) > 5
    assert [(str(page), anchor) for page, target, anchor in links if anchor not in _anchors(target)] == []


def test_tests_that_pages_name_are_there():
    """Every test that a page names exists."""
    named = dict(_named(r"^(tests/[\w/.-]+)"))
    assert len(named) > 30
    assert [place for place, name in named.items() if not (_ROOT / name).exists()] == []


def test_settings_that_pages_name_are_settings():
    """Every variable in the pages is in the reference; those of the tests are where the tests are explained."""
    references = ("docs/reference/settings.md", "docs/how-to/test-on-a-cluster.md", "CONTRIBUTING.md")
    known = "".join((_ROOT / name).read_text() for name in references)
    named = dict(_named(r"\b(TASKBELL_[A-Z_]+[A-Z])\b(?!_|\*)"))
    assert len(named) > 15
    assert [place for place, name in named.items() if name not in _STREAMS and f"{name}`" not in known] == []


def test_metrics_that_pages_name_are_measured():
    """Every metric in the pages is in the reference, by its name or as part of a histogram."""
    known = (_ROOT / "docs" / "reference" / "metrics.md").read_text()
    named = dict(_named(_METRIC))
    assert len(named) > 5
    assert [place for place, name in named.items() if f"`{name}`" not in known] == []


def test_make_has_the_targets_that_pages_name():
    """Every `make <target>` in the pages is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    named = dict(_named(r"^make ([a-z]+)"))
    assert {"run", "test", "capacity"} <= {*named.values()}
    assert [place for place, name in named.items() if name not in targets] == []


def test_panels_that_runbooks_name_are_on_a_dashboard():
    """Every row and panel that a runbook names is on the overview or another dashboard."""
    files = (_ROOT / "charts" / "taskbell" / "files" / "dashboards").glob("*.json")
    titles = {panel["title"] for path in files for panel in json.loads(path.read_text())["panels"]}
    named = {
        f"{page.stem}: {title}": title
        for page in sorted((_ROOT / "docs" / "runbooks").glob("*.md"))
        for title in re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", page.read_text())
    }
    assert len(named) > 5
    assert [place for place, title in named.items() if title not in titles] == []


@pytest.mark.feature("K7")
def test_the_readmes_values_install():
    """The values that the README gives to a platform team fit the chart's schema, and the chart renders with them."""
    (values,) = (yaml.safe_load(block) for block in _YAML.findall((_ROOT / "README.md").read_text()))
    chart = helm_python.Chart.load(_ROOT / "charts" / "taskbell")
    chart.validate_schema(values)
    rendered = "".join(chart.render(values, name="tasks", namespace="tasks", is_install=True).values())
    for name in (
        "registry.example.com/taskbell/api:",
        "taskbell-keys",
        "taskbell-database",
        "taskbell-nats",
        "tasks-tls",
        "tasks.example.com",
    ):
        assert name in rendered
