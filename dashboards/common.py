"""What all our dashboards have in common: addresses, colours, head links."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.query import datasource_variable

FLEET_UID: Final = "trainwarden-fleet"
RUN_UID: Final = "trainwarden-run"
RANKS_UID: Final = "trainwarden-ranks"
CHECKPOINTS_UID: Final = "trainwarden-checkpoints"
INCIDENTS_UID: Final = "trainwarden-incidents"
RL_UID: Final = "trainwarden-rl"
PIPELINE_UID: Final = "trainwarden-pipeline"
TAG: Final = "trainwarden"

TITLES: Final = {
    FLEET_UID: "Fleet",
    RUN_UID: "Run",
    RANKS_UID: "Ranks and hardware",
    CHECKPOINTS_UID: "Checkpoints",
    INCIDENTS_UID: "Incidents and remediation",
    RL_UID: "RL",
    PIPELINE_UID: "Pipeline health",
}
OF_ONE_RUN: Final = frozenset({RUN_UID, RANKS_UID, CHECKPOINTS_UID, INCIDENTS_UID, RL_UID})
"""Dashboards with the variable ``run``: links between them keep what is chosen."""

GREEN, BLUE, YELLOW, RED, GREY = "green", "blue", "yellow", "red", "text"

COLOR_OF_STATE: Final = {
    "running": GREEN,
    "finished": BLUE,
    "silent": YELLOW,
    "failed": RED,
    "killed": RED,
}
COLOR_OF_DIAGNOSIS: Final = {"firing": RED, "pending": YELLOW, "resolved": GREEN}
COLOR_OF_SEVERITY: Final = {"critical": RED, "warning": YELLOW, "info": BLUE}
COLOR_OF_INCIDENT: Final = {
    **dict.fromkeys(("open", "escalated", "failed"), RED),
    **dict.fromkeys(("waiting", "acting", "settling"), YELLOW),
    "resolved": GREEN,
    "ended": GREY,
}
COLOR_OF_ACK: Final = {
    **dict.fromkeys(("rejected", "failed", "aborted", "expired"), RED),
    **dict.fromkeys(("received", "scheduled", "running", "mixed"), YELLOW),
    "succeeded": GREEN,
    "no answer": GREY,
}
TO_RUN: Final = ("Open this run", f"/d/{RUN_UID}?var-run=${{__data.fields.run:percentencode}}")
TO_INCIDENTS: Final = (
    "Incidents of this run",
    f"/d/{INCIDENTS_UID}?var-run=${{__data.fields.run:percentencode}}&${{__url_time_range}}",
)


def new_dashboard(uid: str, description: str, since: str) -> dashboard.Dashboard:
    """An empty dashboard with what all of ours share, and links to the others in its head."""
    board = dashboard.Dashboard(TITLES[uid])
    board.uid(uid).description(description).tags([TAG]).readonly().time(since, "now").refresh("5s")
    board.tooltip(models.DashboardCursorSync(1)).with_variable(datasource_variable())
    for other in TITLES:
        if other != uid:
            board.link(_link(other, keep=uid in OF_ONE_RUN and other in OF_ONE_RUN))
    return board


def _link(uid: str, *, keep: bool) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(TITLES[uid])
    link.type(models.DashboardLinkType("link")).url(f"/d/{uid}").keep_time(keep).include_vars(keep)
    return link
