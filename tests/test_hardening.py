"""What is built is hardened, as readelf sees it: nothing of it lies at a known address or can be written after it was
linked, and stack and buffers are guarded."""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import shutil
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("BUILDDIR", pathlib.Path(__file__).resolve().parents[1]))
MODULE = "mod_clickstream/.libs/mod_clickstream.so"
PROGRAMS = ["cgi/clickstream.cgi", "cgi/clickstreamctl"]
readelf = shutil.which("readelf")
pytestmark = pytest.mark.skipif(not readelf, reason="readelf of binutils is not there")


def read(file, *options):
    return subprocess.run([readelf, "-W", *options, str(BUILD / file)], capture_output=True, text=True, check=True).stdout


def imports(file):
    return {line.split()[7].split("@")[0] for line in read(file, "--dyn-syms").splitlines()
            if len(line.split()) > 7 and line.split()[6] == "UND"}


@pytest.mark.parametrize("file", [MODULE, *PROGRAMS])
def test_addresses_and_pages(file):
    assert "Type:                              DYN" in read(file, "-h")
    dynamic, segments = read(file, "-d"), read(file, "-l")
    assert "BIND_NOW" in dynamic and "TEXTREL" not in dynamic
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    assert "GNU_RELRO" in segments
    for line in segments.splitlines():
        fields = line.split()
        if fields and fields[0] in ("LOAD", "GNU_STACK"):
            flags = "".join(fields[6:-1])
            assert not ("W" in flags and "E" in flags), line


@pytest.mark.parametrize("file", PROGRAMS)
def test_programs_are_position_independent(file):
    assert "PIE" in read(file, "-d")


@pytest.mark.parametrize("file", [MODULE, *PROGRAMS])
def test_stack_and_buffers_are_guarded(file):
    used = imports(file)
    if "__asan_init" in used:
        pytest.skip("built with sanitizers, which guard more")
    assert "__stack_chk_fail" in used
    assert any(name.endswith("_chk") and name != "__stack_chk_fail" for name in used), "no -D_FORTIFY_SOURCE"


def test_the_module_shows_httpd_its_one_symbol():
    shown = [line.split()[7] for line in read(MODULE, "--dyn-syms").splitlines()
             if len(line.split()) > 7 and line.split()[4] in ("GLOBAL", "WEAK") and line.split()[6] != "UND"]
    assert [name for name in shown if not name.startswith("__asan")] == ["clickstream_module"]
