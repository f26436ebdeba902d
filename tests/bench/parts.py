"""The core's parts, one by one: micro.c."""
# SPDX-License-Identifier: Apache-2.0

import pathlib
import statistics
import subprocess
import tempfile

import traffic
from servers import BUILD


def micro(part, events, count):
    """What micro.c prints."""
    with tempfile.TemporaryDirectory(prefix="clickstream-bench-") as folder:
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


def measure_filled(say):
    empty, filled = micro("filled", 1, 500)
    say(f"{empty:.0f} ns an append at empty, {filled:.0f} ns with 1 GiB queued")
    return {"ratio": filled / empty, "empty_ns": empty, "filled_ns": filled}
