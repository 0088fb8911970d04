"""Dashboards in Grafana's own form, by its foundation SDK."""

from __future__ import annotations

import itertools
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as models

from .boards.panels import Board, Kind, Panel

_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${source}")
_HEIGHT: Final = 8
_STACKED: Final = common.StackingConfig().mode(words.StackingMode.NORMAL)
_LEGEND: Final = (
    common.VizLegendOptions()
    .display_mode(words.LegendDisplayMode.LIST)
    .placement(words.LegendPlacement.BOTTOM)
    .show_legend(True)
)
_MAKERS: Final[dict[Kind, Any]] = {
    Kind.LINES: timeseries.Panel,
    Kind.STAT: stat.Panel,
    Kind.HEATMAP: heatmap.Panel,
    Kind.TIMELINE: statetimeline.Panel,
}


def dashboard_json(board: Board) -> str:
    """A dashboard as the JSON that Grafana imports, with a line break at its end."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.why)
        .tags(["infolens"])
        .editable()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("instance")
            .label("Replica")
            .datasource(_SOURCE)
            .query(f"label_values({board.instances}, instance)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(models.VariableOption(selected=True, text="All", value="$__all"))
        )
    )
    numbers = itertools.count(1)
    for title, panels in board.rows:
        made = made.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            made = made.with_panel(_panel(panel).id(next(numbers)))
    return str(JSONEncoder(sort_keys=True, indent=1).encode(made.build())) + "\n"


def _panel(panel: Panel) -> Any:
    made = _MAKERS[panel.kind]().title(panel.title).description(panel.why).datasource(_SOURCE).unit(panel.unit)
    made = made.span(panel.width).height(_HEIGHT)
    for number, (expression, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        made = made.with_target(query.range() if panel.kind is not Kind.STAT else query.instant())
    if panel.kind is Kind.LINES:
        made = (
            made.min(0).legend(_LEGEND).fill_opacity(30 if panel.stacked else 5).show_points(words.VisibilityMode.NEVER)
        )
        made = made.stacking(_STACKED) if panel.stacked else made
    return made
