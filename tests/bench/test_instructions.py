"""The hot path must not get longer: instructions from parsing to appending, counted by callgrind.

An instruction is the same on any machine, however busy it is; but compilers make another number of them of the same
source, and other versions of APR and glibc take another number to do the same. So instructions.json says what it
was counted with. Where all of that is the same, at most 10% more than what it says may be needed; elsewhere, 50%, which
finds a second parse or a scan of the whole queue, and no more than that. N requests are counted and then 2 N, so that
what it takes to start is in neither. Libraries are counted as well: to have them do more is no saving.

After a change that is meant, `make record-instructions` writes anew what is counted.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE))
sys.path.append(str(HERE.parent / "httpd"))

import traffic  # noqa: E402
from servers import BUILD  # noqa: E402

RECORDED = HERE / "instructions.json"
SAME, OTHER = 1.10, 1.50
# Name: events in a request, and requests.
CASES = {"an event alone": (1, 1000), "an event of 100": (100, 20)}


def make_variable(name):
    """What configure found, as the Makefile has it."""
    return re.search(rf"^{name} = (.*)$", (BUILD / "Makefile").read_text(), re.MULTILINE)[1].strip()


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def surroundings():
    return {
        "compiler": first_line(*make_variable("CC").split(), "--version"),
        "flags": f"{make_variable('CFLAGS')} {make_variable('CS_CFLAGS')}".replace(" -Werror", ""),
        "machine": platform.machine(),
        "libraries": " ".join([*platform.libc_ver(), *(
            f"{name} {first_line('pkg-config', '--modversion', name)}" for name in ("apr-1", "apr-util-1"))]),
        "valgrind": first_line("valgrind", "--version"),
    }


def counted(body, requests, folder):
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind.out",
               BUILD / "tests/bench/micro", "path", body, str(requests), folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def instructions(case):
    events, requests = CASES[case]
    with tempfile.TemporaryDirectory(prefix="clickstream-bench-") as folder:
        body = pathlib.Path(folder, "body")
        body.write_text(traffic.body(events))
        once, twice = (counted(body, requests * times, folder) for times in (1, 2))
    return round((twice - once) / requests / events)


@pytest.mark.parametrize("case", CASES)
def test_the_hot_path_is_no_longer_than_it_was(case, capsys):
    if not shutil.which("valgrind"):
        assert os.environ.get("CI") != "true", "valgrind is not here"
        pytest.skip("valgrind is not here")
    recorded = json.loads(RECORDED.read_text())
    found, before = instructions(case), recorded["instructions"][case]
    here = surroundings()
    others = [name for name, value in recorded["with"].items() if here.get(name) != value]
    slack = OTHER if others else SAME
    line = f"{case}: {found} instructions, {before} when recorded"
    line += f" with another {', '.join(others)}" if others else ""
    with capsys.disabled():
        print(f"\n{line}")
    assert found <= before * slack, f"{line}; at most {before * slack:.0f}, see the head of tests/bench/test_instructions.py"


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({"with": surroundings(), "instructions": {case: instructions(case) for case in CASES}},
                                   indent=1) + "\n")
    print(RECORDED.read_text(), end="")
