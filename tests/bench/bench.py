"""What make bench runs: what collecting costs, against an httpd that only answers. Exit code 1: a bar was missed.

From the environment: BENCH, the rows to measure, all by default; BENCH_ROUNDS; BUILDDIR, where the build is that is
measured; RESULTS, the folder for results.json and cost.svg.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import signal
import subprocess
import sys
import time

import batches
import cost
import latency
import memory
import parts
import plot
import programs
import report
from servers import BUILD, Firehose

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
CURVE = (2, 5, 10, 20, 50, 200, 500)  # besides 1 and 100


# By the name that BENCH knows.
MEASUREMENTS = {
    # Many short rounds rather than few long ones: what else the machine does then weighs on both alike.
    "single": lambda firehose, say: cost.measure(firehose, (1,), some(15), 1, say)[1],
    "hundred": lambda firehose, say: cost.measure(firehose, (100,), ROUNDS, 1, say)[100],
    "curve": lambda firehose, say: cost.measure(firehose, CURVE, some(3), 1, say),
    "latency": lambda firehose, say: latency.measure(firehose, some(6), 2, say),
    "filled": lambda firehose, say: parts.measure_filled(some(3), say),
    "batches": lambda firehose, say: batches.measure(firehose, 2, say),
    "cgi": lambda firehose, say: programs.measure(firehose, some(5), 2, say),
    "billed": lambda firehose, say: batches.measure_billed(firehose, 2, say),
    "queued": lambda firehose, say: memory.measure_queued(firehose, some(3), say),
    "minute": lambda firehose, say: memory.measure_minute(firehose, say),
    "parts": lambda firehose, say: parts.measure(some(5), say),
}


def some(rounds):
    """So many of nine."""
    return max(1, ROUNDS * rounds // 9)


def say(line):
    print(f"    {line}", flush=True)


def measure(names):
    """A row that fails does not take the others with it."""
    results, failures = {}, {}
    with Firehose() as firehose:
        for name in names:
            print(f"{name} ...", flush=True)
            began = time.monotonic()
            firehose.tell("away 0")
            firehose.tell("delay 0")
            try:
                results[name] = MEASUREMENTS[name](firehose, say)
            except (AssertionError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                failures[name] = str(error)
                say(f"failed: {error}")
            say(f"({time.monotonic() - began:.0f} s)")
    return results, failures


def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # and so everything is stopped
    names = os.environ.get("BENCH", "").split() or list(MEASUREMENTS)
    unknown = set(names) - set(MEASUREMENTS)
    if unknown:
        sys.exit(f"make bench: BENCH knows {' '.join(MEASUREMENTS)}, and not {' '.join(sorted(unknown))}")
    folder = pathlib.Path(os.environ.get("RESULTS", BUILD / "tests/bench/results"))
    folder.mkdir(parents=True, exist_ok=True)
    results, failures = measure(names)
    missed = report.show(results, failures)
    report.write(folder / "results.json", results, failures)
    if {"single", "hundred", "curve"} <= set(results):
        plot.write(folder / "cost.svg", results)
    print(f"\nMore in {folder}/")
    sys.exit(1 if missed or failures else 0)


if __name__ == "__main__":
    main()
