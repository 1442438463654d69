"""What a worker says of its readiness: partitions are assigned, agents run."""

from __future__ import annotations

from typing import Any


def readiness(app: Any) -> dict[str, Any]:
    """The report of a started Faust app: assigned partitions by topic, and agents that do not run."""
    partitions: dict[str, list[int]] = {}
    for topic, partition in sorted(app.consumer.assignment()) if app.started else ():
        partitions.setdefault(topic, []).append(partition)
    idle = sorted(name for name, agent in app.agents.items() if not agent.actor_tracebacks())
    reason = None
    if not partitions:
        reason = "no partitions assigned yet"
    elif app.rebalancing:
        reason = "partitions are being assigned"
    elif idle:
        reason = f"agents that do not run: {', '.join(idle)}"
    return {"ready": reason is None, "reason": reason, "partitions": partitions}
