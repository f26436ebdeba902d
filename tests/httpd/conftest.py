"""Fixtures: the fake Firehose in a folder that httpd's user can read; figures that the run ends with."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import shutil

import pytest
from fake_firehose import FakeFirehose
from server import public_folder

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


FIGURES = pytest.StashKey()


@pytest.fixture
def keys():
    return dict(KEYS)


@contextlib.contextmanager
def running_fake():
    folder = public_folder()
    with FakeFirehose(folder, f"{KEYS['AWS_ACCESS_KEY_ID']}:{KEYS['AWS_SECRET_ACCESS_KEY']}") as running:
        shutil.copy(running.ca, folder / "public-ca.pem")
        (folder / "public-ca.pem").chmod(0o644)
        yield running
        violations = running.stats()["violations"] if running.process.poll() is None else []
    shutil.rmtree(folder, ignore_errors=True)
    assert violations == []


@pytest.fixture
def fake():
    with running_fake() as running:
        yield running


def pytest_configure(config):
    config.stash[FIGURES] = []


@pytest.fixture(scope="session")
def figures(pytestconfig):
    """Lines for people, who see them whether or not a test fails."""
    return pytestconfig.stash[FIGURES]


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[FIGURES]:
        terminalreporter.section("figures")
        for line in config.stash[FIGURES]:
            terminalreporter.write_line(line)
