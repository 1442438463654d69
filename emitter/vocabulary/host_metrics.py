"""Numbers of the host, the container, the process and the network ports: ``train.resource``.

Names are OpenTelemetry's where it has one. Its counters come as rates ("By/s"), and its direction attribute
as the last word, because a sample is one record. What it has no name for continues one of its prefixes.
"""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.metric import Metric

_R: Final = "train.resource"

_SYSTEM: Final = (
    Metric("system.cpu.utilization", "1", _R, "Share of all CPU time in use on the host (0 to 1)"),
    Metric("system.memory.usage", "By", _R, "Memory in use on the host"),
    Metric("system.memory.limit", "By", _R, "Memory of the host in all"),
    Metric("system.memory.utilization", "1", _R, "Share of the host's memory in use (0 to 1)"),
    Metric("system.paging.usage", "By", _R, "Swap in use on the host"),
    Metric("system.filesystem.free", "By", _R, "Free bytes where the trainer runs"),
    Metric("system.filesystem.utilization", "1", _R, "Share of that file system in use (0 to 1)"),
    Metric("system.filesystem.inodes.free", "{inode}", _R, "Free inodes there, where it counts them"),
    Metric("system.disk.io.read", "By/s", _R, "Bytes read from disks per second"),
    Metric("system.disk.io.write", "By/s", _R, "Bytes written to disks per second"),
    Metric("system.disk.io_time", "1", _R, "Share of time in which the busiest disk was at work"),
    Metric("system.network.io.receive", "By/s", _R, "Bytes received per second, without loopback"),
    Metric("system.network.io.transmit", "By/s", _R, "Bytes sent per second, without loopback"),
    Metric("system.network.errors.receive", "{error}/s", _R, "Errors on receiving per second"),
    Metric("system.network.errors.transmit", "{error}/s", _R, "Errors on sending per second"),
    Metric("system.network.dropped.receive", "{packet}/s", _R, "Packets dropped on receiving per second"),
    Metric("system.network.dropped.transmit", "{packet}/s", _R, "Packets dropped on sending per second"),
    Metric("system.shm.free", "By", _R, "Free bytes of /dev/shm, which DataLoader workers use"),
    Metric("system.shm.usage", "By", _R, "Bytes of /dev/shm in use"),
    Metric("system.pressure.cpu.some", "1", _R, "Share of time in which a task waited for a CPU"),
    Metric("system.pressure.memory.some", "1", _R, "Share of time in which a task waited for memory"),
    Metric("system.pressure.memory.full", "1", _R, "Share of time in which all tasks waited for memory"),
    Metric("system.pressure.io.some", "1", _R, "Share of time in which a task waited for a disk"),
    Metric("system.pressure.io.full", "1", _R, "Share of time in which all tasks waited for a disk"),
)

_CONTAINER: Final = (
    Metric("container.memory.limit", "By", _R, "Memory that the control group may use"),
    Metric("container.memory.usage", "By", _R, "Memory charged to the control group, file cache included"),
    Metric("container.memory.working_set", "By", _R, "The same without file cache that is not in use"),
    Metric("container.memory.available", "By", _R, "Limit less working set"),
    Metric(
        "container.memory.utilization", "1", _R, "Share of the limit that cannot be reclaimed by the kernel"
    ),
    Metric("container.memory.oom_kills", "{process}", _R, "Processes of the control group killed so far"),
    Metric("container.cpu.limit", "{cpu}", _R, "CPUs that the control group may use"),
    Metric("container.cpu.usage", "{cpu}", _R, "CPUs that it used"),
    Metric("container.cpu.throttled", "1", _R, "Share of its periods in which it was held back (0 to 1)"),
    Metric("container.pressure.cpu.some", "1", _R, "As system.pressure.cpu.some, within the control group"),
    Metric("container.pressure.memory.some", "1", _R, "As system.pressure.memory.some, within it"),
    Metric("container.pressure.memory.full", "1", _R, "As system.pressure.memory.full, within it"),
    Metric("container.pressure.io.some", "1", _R, "As system.pressure.io.some, within it"),
    Metric("container.pressure.io.full", "1", _R, "As system.pressure.io.full, within it"),
)

_PROCESS: Final = (
    Metric("process.cpu.utilization", "1", _R, "CPU use of the trainer process, 1 = one core"),
    Metric("process.memory.usage", "By", _R, "Resident memory of the trainer process"),
    Metric("process.memory.virtual", "By", _R, "Virtual memory of the trainer process"),
    Metric("process.disk.io.read", "By/s", _R, "Bytes that the trainer process read from disks per second"),
    Metric("process.disk.io.write", "By/s", _R, "Bytes that the trainer process wrote to disks per second"),
    Metric("process.unix.file_descriptor.count", "{fd}", _R, "Open file descriptors of the trainer process",
           ("process.open_file_descriptors",)),
    Metric("process.unix.file_descriptor.limit", "{fd}", _R, "How many it may have open"),
    Metric("process.thread.count", "{thread}", _R, "Threads of the trainer process", ("process.threads",)),
    Metric("cpython.gc.collections", "{collection}", _R, "Garbage collections since the interpreter started"),
    Metric("cpython.gc.pause", "s", _R, "Time that collections took since the sample before"),
    Metric("cpython.gc.pause.longest", "s", _R, "Longest single collection since the sample before"),
)  # fmt: skip

_PORTS: Final = (
    Metric("hw.network.up", "1", _R, "1 while the InfiniBand or RoCE port is active"),
    Metric("hw.network.bandwidth.limit", "By/s", _R, "Speed of the port's link"),
    Metric("hw.network.io.receive", "By/s", _R, "Bytes received through the port per second"),
    Metric("hw.network.io.transmit", "By/s", _R, "Bytes sent through the port per second"),
    Metric("hw.network.transmit_wait", "{tick}/s", _R, "Ticks per second the port had data but no credits"),
    Metric("hw.network.errors.link_downed", "{error}", _R, "Times the link went down, since reset"),
    Metric("hw.network.errors.link_error_recovery", "{error}", _R, "Times the link recovered by itself"),
    Metric("hw.network.errors.symbol", "{error}", _R, "Symbol errors of the link"),
    Metric("hw.network.errors.receive", "{error}", _R, "Packets received with an error"),
    Metric("hw.network.errors.discards", "{packet}", _R, "Packets that could not be sent"),
    Metric("hw.network.errors.integrity", "{error}", _R, "Local link integrity errors"),
    Metric("hw.network.errors.buffer_overrun", "{error}", _R, "Receive buffers that overran"),
    Metric("hw.network.errors.timeout", "{error}", _R, "Acknowledgements that did not come in time"),
    Metric("hw.network.errors.out_of_sequence", "{packet}", _R, "Packets that arrived out of order"),
)

HOST: Final = (*_SYSTEM, *_CONTAINER, *_PROCESS, *_PORTS)
