"""CPU and memory of a process tree.

The time of a process comes from its CPU clock: nanoseconds, with all its threads, also those that have ended. What
has ended and was waited for is in its parent's cutime and cstime, of which the kernel shows ticks of 10 ms.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import re
import time

TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2  # linux/posix-timers.h: what clock_getcpuclockid(3) makes of a pid


def stat(pid):
    """/proc/PID/stat behind the program's name, which may hold anything; its state is the first field."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root):
    """The pids of a process and all below it."""
    below, pids = {}, [root]
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                below.setdefault(int(stat(entry)[1]), []).append(int(entry))
            except OSError:
                continue  # it has just ended
    for pid in pids:
        pids += below.get(pid, [])
    return pids


def own(pid):
    try:
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:  # ended, and not waited for yet
        return sum(map(int, stat(pid)[11:13])) * TICK


def ended_children(pid):
    return sum(map(int, stat(pid)[13:15])) * TICK


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def used(root):
    """Nanoseconds of user and system time of a whole tree, the ended included."""
    total = 0
    for pid in tree(root):
        try:
            total += own(pid) + ended_children(pid)
        except OSError:
            continue  # its parent has waited for it since: the next reading has it
    return total


def resident(root, but=r"\.queue$"):
    """Bytes of memory that a tree has, each page shared among those who share it, without the files named `but`."""
    total = 0
    for pid in tree(root):
        counts = True
        for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                counts = not re.search(but, line)
            elif counts and line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
