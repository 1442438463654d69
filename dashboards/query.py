"""What the foundation SDK lacks: queries, variables and annotations of the ClickHouse data source."""

from __future__ import annotations

from textwrap import dedent
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common, dashboard

PLUGIN: Final = "grafana-clickhouse-datasource"
DATASOURCE: Final = common.DataSourceRef(type_val=PLUGIN, uid="${datasource}")

TIME_SERIES: Final = 0
TABLE: Final = 1
LOGS: Final = 2
_QUERY_TYPES: Final = {TIME_SERIES: "timeseries", TABLE: "table", LOGS: "logs"}


class ClickHouseQuery(variants.Dataquery):
    """One query as the plugin stores it (``editorType`` sql)."""

    def __init__(self, sql: str, form: int, ref: str) -> None:
        self.sql, self.form, self.ref = dedent(sql).strip(), form, ref

    def to_json(self) -> dict[str, object]:
        """The fields the plugin reads; it fills in ``pluginVersion`` itself."""
        return {
            "refId": self.ref,
            "datasource": DATASOURCE,
            "editorType": "sql",
            "rawSql": self.sql,
            "format": self.form,
            "queryType": _QUERY_TYPES[self.form],
            "meta": {},
        }


class Query(cog.Builder[variants.Dataquery]):
    """Builder of a ClickHouseQuery, for ``with_target``."""

    def __init__(self, sql: str, form: int, ref: str = "A") -> None:
        self._query = ClickHouseQuery(sql, form, ref)

    def build(self) -> variants.Dataquery:
        """The query."""
        return self._query


class _Annotation(dashboard.AnnotationQuery):
    """The plugin keeps its own copy of the SQL beside the target."""

    def to_json(self) -> dict[str, object]:
        payload = super().to_json()
        sql = self.target.sql if isinstance(self.target, ClickHouseQuery) else ""
        return {**payload, "customSql": sql, "rawQuery": sql, "preset": "custom"}


class Annotation(cog.Builder[dashboard.AnnotationQuery]):
    """Rows with ``time``, ``text``, ``tags`` and ``title``, drawn on the panels with these ids."""

    def __init__(self, name: str, color: str, sql: str, panels: list[int]) -> None:
        self._annotation = _Annotation(
            name=name,
            datasource=DATASOURCE,
            icon_color=color,
            target=ClickHouseQuery(sql, TABLE, name),
            filter_val=dashboard.AnnotationPanelFilter(exclude=False, ids=panels),
        )

    def build(self) -> dashboard.AnnotationQuery:
        """The annotation query."""
        return self._annotation


def datasource_variable() -> builders.DatasourceVariable:
    """Which ClickHouse data source; the provisioned one is the default."""
    variable = builders.DatasourceVariable("datasource")
    variable.label("Data source").type(PLUGIN)
    variable.current(dashboard.VariableOption(text="ClickHouse", value="clickhouse"))
    return variable


def query_variable(name: str, label: str, sql: str, *, choose_all: bool = False) -> builders.QueryVariable:
    """A variable filled by a query: one column of values, or values and their labels.

    ``choose_all``: many may be chosen, or All of them (the default).
    """
    text = dedent(sql).strip()
    variable = builders.QueryVariable(name)
    variable.label(label).datasource(DATASOURCE).definition(text)
    variable.query({"editorType": "sql", "rawSql": text, "refId": name})
    variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    variable.multi(choose_all).include_all(choose_all)
    if choose_all:
        variable.current(dashboard.VariableOption(text=["All"], value=["$__all"]))
    return variable


def text_variable(name: str, label: str, description: str) -> builders.TextBoxVariable:
    """A variable that is typed in; empty at first."""
    variable = builders.TextBoxVariable(name)
    variable.label(label).description(description).default_value("")
    return variable
