"""Where a result comes from: without it the figures mean little."""

import os
import platform
import subprocess


def describe():
    """CPU, cores, memory, kernel and versions."""
    return {"cpu": _first("/proc/cpuinfo", "model name"), "cores": len(os.sched_getaffinity(0)),
            "memory": _first("/proc/meminfo", "MemTotal"), "kernel": platform.release(), "arch": platform.machine(),
            "virtual": "hypervisor" in (_first("/proc/cpuinfo", "flags") or "").split(),
            "load_average": os.getloadavg(), "rustc": _says(["rustc", "--version"]),
            "nginx": _says(["nginx", "-v"]), "python": platform.python_version()}


def stolen():
    """(ticks stolen by the hypervisor, all ticks) since boot."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def revision(root):
    """The commit measured, with a mark when the tree had changes; None outside a repository."""
    return _says(["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=12"])


def _first(path, name):
    with open(path) as file:
        for line in file:
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return None


def _says(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.returncode == 0 else None
