"""Grafana's JSON of a dashboard, made with Grafana's own builder library.

The model is the one that Grafana's sidecar loads from ConfigMaps and that every Grafana since 9 reads; the library
prefers the newer one, which only Grafana 12 knows.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial

from docs._generate.dashboards.boards import BOARDS
from docs._generate.dashboards.plan import RUNBOOKS, Board, Kind, Panel, Place, Row, places
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import dashboard as builders

_SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
_SCHEMA = 39
_GOOD, _WARN, _ALARM = "green", "orange", "red"
_OF_EVERY_RELEASE = "taskbell_relay_lease_held"
_AnyPanel = timeseries.Panel | stat.Panel | heatmap.Panel


def files() -> dict[str, Callable[[], str]]:
    """The chart's files and the functions that write them."""
    return {f"charts/taskbell/files/dashboards/{board.name}.json": partial(text, board) for board in BOARDS}


def text(board: Board) -> str:
    """The JSON of a dashboard."""
    return json.dumps(built(board), cls=JSONEncoder, indent=1) + "\n"


def built(board: Board) -> dashboard.Dashboard:
    """Grafana's model of a dashboard."""
    return dashboard.Dashboard(
        uid=f"taskbell-{board.name}",
        title=board.title,
        description=board.meaning,
        tags=["taskbell"],
        timezone="",
        editable=False,
        graph_tooltip=dashboard.DashboardCursorSync.CROSSHAIR,
        time=dashboard.DashboardDashboardTime(from_val="now-3h", to="now"),
        refresh="30s",
        schema_version=_SCHEMA,
        version=1,
        panels=[_placed(number, thing, place) for number, (thing, place) in enumerate(places(board), 1)],
        templating=dashboard.DashboardDashboardTemplating(list_val=_variables()),
        annotations=dashboard.AnnotationContainer(list_val=[]),
        links=[_others()],
    )


def _variables() -> list[dashboard.VariableModel]:
    source = builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    namespaces = _choice("namespace", "Namespace", f"label_values({_OF_EVERY_RELEASE}, namespace)")
    releases = _choice("release", "Release", f'label_values({_OF_EVERY_RELEASE}{{namespace=~"$namespace"}}, release)')
    return [source.build(), namespaces.build(), releases.build()]


def _choice(name: str, label: str, query: str) -> builders.QueryVariable:
    """A variable with all values at first, so that series without the label count too."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query({"query": query, "refId": name})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard.VariableOption(text="All", value="$__all"))
    )


def _others() -> dashboard.DashboardLink:
    link = builders.DashboardLink("Taskbell").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["taskbell"])
    return link.as_dropdown(True).include_vars(True).keep_time(True).build()


def _placed(number: int, thing: Row | Panel, place: Place) -> dashboard.Panel | dashboard.RowPanel:
    where = dashboard.GridPos(x=place.x, y=place.y, w=place.width, h=place.height)
    if isinstance(thing, Row):
        return builders.Row(thing.title).id(number).grid_pos(where).build()
    panel = _panel(thing).id(number).title(thing.title).description(thing.meaning).unit(thing.unit)
    panel = panel.datasource(_SOURCE).grid_pos(where)
    for letter, query in zip("ABCDEF", thing.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).datasource(_SOURCE).expr(query.text).range()
        target = target.legend_format(query.legend) if query.legend else target
        if thing.kind is Kind.HEAT:
            target = target.format(PromQueryFormat.HEATMAP)
        panel = panel.with_target(target)
    if thing.runbook is not None:
        url = f"{RUNBOOKS}/{thing.runbook}.md"
        panel = panel.links([builders.DashboardLink("Runbook").url(url).target_blank(True)])
    if not all(query.when_healthy for query in thing.queries):
        panel = panel.no_value("none")
    return panel.build()


def _panel(thing: Panel) -> _AnyPanel:
    if thing.kind is Kind.HEAT:
        return heatmap.Panel().calculate(False)
    if thing.kind is Kind.NUMBER:
        number = stat.Panel().thresholds(_thresholds(thing)).graph_mode(common.BigValueGraphMode.AREA)
        return number.color_mode(common.BigValueColorMode.VALUE)
    lines = timeseries.Panel().min(0).line_width(1).fill_opacity(10).show_points(common.VisibilityMode.NEVER)
    lines = lines.legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    lines = lines.tooltip(
        common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )
    if thing.most is not None:
        lines = lines.max(thing.most)
    if thing.warn is not None or thing.alarm is not None:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        lines = lines.thresholds(_thresholds(thing)).thresholds_style(style)
    return lines


def _thresholds(thing: Panel) -> builders.ThresholdsConfig:
    steps = [dashboard.Threshold(value=None, color=_GOOD)]
    for value, color in ((thing.warn, _WARN), (thing.alarm, _ALARM)):
        if value is not None:
            steps.append(dashboard.Threshold(value=value, color=color))
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)
