"""The table of what was measured, what it must reach and what it should; and all figures as JSON."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import platform
import re
import subprocess
import time
from typing import Callable, NamedTuple

from server import HTTPD


class Row(NamedTuple):
    """`bar` is what must be reached, `aim` what should, where there is one; where `rising`, more is better."""
    name: str
    text: str
    value: Callable
    bar: float
    aim: float
    unit: str
    rising: bool = False

    def reached(self, value, limit):
        return value >= limit if self.rising else value <= limit


# Two bytes for each of a million events: less than anything that is kept of them, and more than two readings differ by.
NOTHING = 2  # MiB

ROWS = (
    Row("single", "CPU of a single-event POST, delivered, against bare", lambda found: found["ratio"], 1.30, 1.15,
        "{:.2f} x"),
    Row("hundred", "CPU of a 100-event POST, delivered, against bare's single", lambda found: found["ratio"], 5.0, 3.5,
        "{:.2f} x"),
    Row("latency", "p99 at half load with Firehose away, against healthy", lambda found: found["ratio"], 1.2, 1.0,
        "{:.2f} x"),
    Row("filled", "append with 1 GiB queued, against an empty queue", lambda found: found["ratio"], 1.1, 1.0, "{:.2f} x"),
    Row("batches", "how full requests are, least of 1 to 64 clients, event and prefork",
        lambda found: 100 * found["least"], 90, None, "{:.1f} %", rising=True),
    Row("cgi", "CPU of a CGI request, delivered, against an empty CGI", lambda found: found["ratio"], 1.5, 1.25,
        "{:.2f} x"),
    Row("billed", "billed bytes for each sent, events of 300 bytes", lambda found: found["ratio"], 1.05, 1.01, "{:.3f}"),
    Row("queued", "memory with a million events queued, against none", lambda found: found["more_mib"], NOTHING, None,
        "{:+.1f} MiB"),
    Row("minute", "memory after a minute of 100-event POSTs, against bare", lambda found: found["more_mib"], 32, 8,
        "{:+.1f} MiB"),
)


def verdict(row, value):
    if not row.reached(value, row.bar):
        return "MISSED"
    return "aim met" if row.aim is not None and row.reached(value, row.aim) else "met"


def lines(results, failures):
    """The table's, without its head: text, value, bar, aim, verdict."""
    for row in ROWS:
        limits = ["" if limit is None else row.unit.format(limit).replace("+", "") for limit in (row.bar, row.aim)]
        limits[0] = (">= " if row.rising else "<= ") + limits[0]
        if row.name in results:
            value = row.value(results[row.name])
            yield row.text, row.unit.format(value), *limits, verdict(row, value)
        elif row.name in failures:
            yield row.text, "-", *limits, "FAILED"


def show(results, failures):
    """Prints it; whether a bar was missed."""
    table = [("measured", "", "bar", "aim", ""), *lines(results, failures)]
    widths = [max(len(cells[column]) for cells in table) for column in range(5)]
    print()
    for cells in table:
        text, *others = (cell.ljust(width) if column in (0, 4) else cell.rjust(width)
                         for column, (cell, width) in enumerate(zip(cells, widths)))
        print("  ".join([text, *others]).rstrip())
    for line in orientation(results):
        print(line)
    return any(cells[4] == "MISSED" for cells in table)


def orientation(results):
    """What the ratios are made of; these figures are this machine's, at this time."""
    if "single" in results:
        found = results["single"]
        yield (f"\nbare: {found['bare_us']:.1f} us a POST, {found['bare_posts_per_second']:,.0f} POSTs a second; "
               f"ours: {found['post_us']:.1f} us, {found['posts_per_second']:,.0f}")
    if "hundred" in results:
        found = results["hundred"]
        yield (f"100 events: {found['post_us']:.0f} us a POST, {found['event_us']:.2f} us an event, "
               f"{100 * found['posts_per_second']:,.0f} events a second")
    if "latency" in results:
        found = results["latency"]
        yield (f"at {found['posts_per_second']:,.0f} POSTs a second, p99 in ms: "
               + ", ".join(f"{name} {value / 1000:.2f}" for name, value in found["p99_us"].items()))
    if "cgi" in results:
        yield f"CGI: {results['cgi']['ours_us']:.0f} us a request, the empty one {results['cgi']['empty_us']:.0f} us"
    for name, value in results.get("parts", {}).items():
        yield f"{name}: {value:.0f} ns an event"


def machine():
    cpu = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    httpd = subprocess.run([HTTPD, "-v"], capture_output=True, text=True, check=False).stdout
    return {"cpu": cpu[1] if cpu else platform.machine(), "cpus": os.cpu_count(), "kernel": platform.release(),
            "httpd": (re.findall(r"Apache/\S+", httpd) or ["?"])[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def write(path, results, failures):
    rows = [{"row": text, "value": value, "bar": bar, "aim": aim, "verdict": met}
            for text, value, bar, aim, met in lines(results, failures)]
    found = {"machine": machine(), "table": rows, "results": results, "failures": failures}
    path.write_text(json.dumps(found, indent=1) + "\n")
