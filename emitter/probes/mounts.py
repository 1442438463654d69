"""Where the control groups of this process lie, from /proc/self/cgroup and /proc/self/mountinfo.

Formats: https://man7.org/linux/man-pages/man7/cgroups.7.html, .../man5/proc_pid_mountinfo.5.html
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath


def folders(root: Path = Path("/")) -> dict[str, list[Path]]:
    """By controller ("" is version 2): the folder of our group, then those above it that are visible."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return {}
    places = _mounted(mounts)
    found = {}
    for line in groups:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        for controller in controllers.split(","):
            if controller in places:
                inside, mount = places[controller]
                found[controller] = _upwards(root / mount.lstrip("/"), path, inside)
    return found


def _mounted(lines: list[str]) -> dict[str, tuple[str, str]]:
    """By controller: which group is mounted, and where."""
    places: dict[str, tuple[str, str]] = {}
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            places.setdefault("", (_plain(fields[3]), _plain(fields[4])))
        elif kind[0] == "cgroup":
            for controller in kind[2].split(","):
                places.setdefault(controller, (_plain(fields[3]), _plain(fields[4])))
    return places


def _upwards(mount: Path, path: str, inside: str) -> list[Path]:
    """A path outside of what is mounted means that the mount itself is ours, as in most containers."""
    try:
        relative = PurePosixPath(path).relative_to(inside)
    except ValueError:
        relative = PurePosixPath()
    if ".." in relative.parts or not (mount / relative).is_dir():
        relative = PurePosixPath()
    below = [mount / relative, *(mount / parent for parent in relative.parents)]
    return list(dict.fromkeys(below))


def _plain(field: str) -> str:
    """Without the octal escapes of blanks, tabs, newlines and backslashes."""
    for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escaped, plain)
    return field
