"""Dashboards: their form, what they ask for, and what the chart makes of them."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "taskbell" / "files" / "dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FILES.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
RUNBOOKS = "https://github.com/taskbell/taskbell/blob/main/docs/runbooks"
OF_A_PROCESS = {"cpu_seconds_total", "resident_memory_bytes", "start_time_seconds", "open_fds", "max_fds"}

pytestmark = pytest.mark.feature("K9", "M47")


@pytest.fixture(scope="module")
def plan():
    """The module that says what a dashboard is made of. It is no part of an installed package."""
    name = "dashboards_plan"
    path = ROOT / "docs" / "_generate" / "dashboards" / "plan.py"
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


def test_there_is_a_dashboard_for_each_part():
    """Each part of the platform, and each store that it needs."""
    wanted = "overview api event-path gateways delivery reminders postgresql jetstream operator"
    assert set(DASHBOARDS) == set(wanted.split())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_fits_every_grafana(name):
    """It has a fixed uid, variables for data source, namespace and release, and panels that do not overlap."""
    board = DASHBOARDS[name]
    assert board["uid"] == f"taskbell-{name}"
    assert board["editable"] is False
    assert board["tags"] == ["taskbell"]
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "namespace", "release"]
    assert all(variable["allValue"] == ".*" for variable in board["templating"]["list"][1:])
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in board["panels"] if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_can_be_understood(panel):
    """Each has a title, a unit and a description in sentences; its data source is the one that was chosen."""
    assert panel["title"], panel
    assert panel["description"].endswith("."), panel["title"]
    assert panel["description"] != panel["title"] + "."
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    for target in [panel, *panel["targets"]]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    if panel["type"] == "timeseries":
        assert all(target["legendFormat"] for target in panel["targets"])
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_for_what_is_measured(panel):
    """Each metric is in the reference and selected by namespace and release; counters are only read as rates."""
    known = set(re.findall(r"`(taskbell_\w+)`", (ROOT / "docs" / "reference" / "metrics.md").read_text()))
    known |= {f"process_{name}" for name in OF_A_PROCESS} | {"up"}
    for target in panel["targets"]:
        query = target["expr"]
        names = re.findall(r"\b(taskbell_\w+|process_\w+|up)\{", query)
        assert names
        for name in names:
            assert {name, re.sub(r"_(bucket|count|sum)$", "", name)} & known, name
        assert query.count('{namespace=~"$namespace", release=~"$release"') == len(names)
        assert set(re.findall(r"\b(?:taskbell|process)_\w+", query)) <= set(names)
        for function, name in re.findall(r"(\w*)\((taskbell_\w+|process_\w+)\{", query):
            is_counter = name.endswith(("_total", "_count", "_bucket", "_sum"))
            assert is_counter == (function in {"rate", "increase"}), (function, name)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_links_a_runbook_that_exists(panel):
    """Its link is a page of docs/runbooks."""
    for link in panel.get("links", []):
        folder, _, page = link["url"].rpartition("/")
        assert folder == RUNBOOKS
        assert (ROOT / "docs" / "runbooks" / page).exists()


def test_every_runbook_is_linked_from_a_panel():
    """Whoever looks at a dashboard finds the runbook of each alert."""
    linked = {link["url"].rpartition("/")[2] for case in PANELS for link in case.values[0].get("links", [])}
    pages = {path.name for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages - linked <= {"TaskbellGatewayLost.md"}


def test_every_metric_is_on_a_dashboard():
    """Nothing is measured that nobody sees."""
    known = set(
        re.findall(r"^\| `(taskbell_\w+)`", (ROOT / "docs" / "reference" / "metrics.md").read_text(), re.MULTILINE)
    )
    shown = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for case in PANELS
        for target in case.values[0]["targets"]
        for name in re.findall(r"\btaskbell_\w+", target["expr"])
    }
    assert known - shown == set()


def test_the_release_brings_the_dashboards(chart):
    """Each is in a ConfigMap with the sidecar's label, small enough, and with the runbooks that the values name."""
    values = {
        "monitoring": {"dashboard": {"enabled": True}, "rules": {"runbooks": "https://wiki.example.com/runbooks"}},
        "fullnameOverride": "a-name-that-is-so-long-that-it-is-cut-off-somewhere",
    }
    found = {name: config for name, config in chart.render(values).of("ConfigMap").items() if "-dashboard-" in name}
    assert len(found) == len(DASHBOARDS)
    for name, config in found.items():
        assert len(name) <= 63
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, text),) = config["data"].items()
        assert len(text) < 2**19
        own = DASHBOARDS[file.removeprefix("taskbell-").removesuffix(".json")]
        assert json.loads(text) == json.loads(json.dumps(own).replace(RUNBOOKS, "https://wiki.example.com/runbooks"))
        assert RUNBOOKS not in text


def test_series_are_named_by_their_release(chart):
    """ServiceMonitors give each series the labels that the dashboards select by."""
    monitors = chart.render({"monitoring": {"serviceMonitor": {"enabled": True}}}).of("ServiceMonitor")
    assert len(monitors) == 5
    for monitor in monitors.values():
        (endpoint,) = monitor["spec"]["endpoints"]
        given = {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]}
        assert given["platform"] == "taskbell"
        assert given["release"] == "demo"
        assert given["component"] in monitor["metadata"]["name"]


def test_selectors_reach_every_metric_of_a_query(plan):
    """Labels of a query stay, and Prometheus' own metrics are asked for of this platform alone."""
    query = plan.Query('sum(rate(taskbell_a_total{x="1"}[R])) / max(process_open_fds) + count(up{component="api"})')
    chosen = 'namespace=~"$namespace", release=~"$release"'
    assert query.text == (
        f'sum(rate(taskbell_a_total{{{chosen}, x="1"}}[$__rate_interval]))'
        f' / max(process_open_fds{{{chosen}, platform="taskbell"}})'
        f' + count(up{{{chosen}, platform="taskbell", component="api"}})'
    )


@pytest.mark.parametrize(("numbers", "pictures"), [(0, 1), (6, 0), (7, 5), (1, 4), (3, 9)])
def test_panels_are_laid_out_side_by_side(plan, numbers, pictures):
    """However many a row has, none is left out, none overlaps another, and the next row begins below them."""
    kinds = [plan.Kind.NUMBER] * numbers + [plan.Kind.LINES] * pictures
    panels = tuple(
        plan.Panel(title=str(number), meaning="", unit="", queries=(), kind=kind) for number, kind in enumerate(kinds)
    )
    board = plan.Board(name="", title="", meaning="", rows=(plan.Row("one", panels), plan.Row("two", panels)))
    found = list(plan.places(board))
    assert [thing.title for thing, _ in found].count("0") == 2
    assert len(found) == 2 * len(panels) + 2
    cells = [
        (x, y)
        for _, place in found
        for x in range(place.x, place.x + place.width)
        for y in range(place.y, place.y + place.height)
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
