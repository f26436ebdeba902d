"""The core's parts, one by one: micro.c."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

import traffic
from servers import BUILD


SHARED = "/dev/shm"


def micro(part, events, count, place=None):
    """What micro.c prints."""
    with tempfile.TemporaryDirectory(prefix="clickstream-bench-", dir=place) as folder:
        body = pathlib.Path(folder, "body")
        body.write_text(traffic.body(events))
        done = subprocess.run([BUILD / "tests/bench/micro", part, body, str(count), folder], capture_output=True,
                              text=True, timeout=120, check=True)
    return [float(word) for word in done.stdout.split()]


# Name, part, events in a request, how often, divided by what to be of one event.
PARTS = (
    ("collect, 1 in a request", "collect", 1, 50_000, 1),
    ("collect, 100 in a request", "collect", 100, 1_000, 100),
    ("append, 1 in a request", "append", 1, 50_000, 1),
    ("append, 100 in a request", "append", 100, 1_000, 100),
    ("base64 and signature", "send", 1, 20, 1),
)


def measure(rounds, say):
    """Nanoseconds of CPU an event."""
    found = {name: [] for name, *_ in PARTS}
    for _ in range(rounds):
        for name, part, events, count, divisor in PARTS:
            found[name].append(micro(part, events, count)[0] / divisor)
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, value in medians.items():
        say(f"{name}: {value:.0f} ns an event")
    return medians


def memory_folder():
    """Where files lie in memory, if there is room for two of more than a GiB; else the usual place."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(SHARED).free > 4 << 30 and os.access(SHARED, os.W_OK):
            return SHARED
    return None


def measure_filled(rounds, say):
    """In memory, since a disk's own work on pages that it is just writing falls on either file, as it happens."""
    found = {"empty_ns": [], "filled_ns": []}
    for _ in range(rounds):
        for name, value in zip(found, micro("filled", 1, 500, memory_folder())):
            found[name].append(value)
        say(f"{found['empty_ns'][-1]:.0f} ns an append at empty, {found['filled_ns'][-1]:.0f} ns with 1 GiB queued")
    return {"ratio": statistics.median(filled / empty for empty, filled in zip(*found.values())), "rounds": found}
