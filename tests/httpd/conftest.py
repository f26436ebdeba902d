"""Fixtures: the fake Firehose in a folder that httpd's user can read."""
# SPDX-License-Identifier: Apache-2.0

import shutil

import pytest
from fake_firehose import FakeFirehose
from server import public_folder

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


@pytest.fixture
def keys():
    return dict(KEYS)


@pytest.fixture
def fake():
    folder = public_folder()
    with FakeFirehose(folder, f"{KEYS['AWS_ACCESS_KEY_ID']}:{KEYS['AWS_SECRET_ACCESS_KEY']}") as running:
        shutil.copy(running.ca, folder / "public-ca.pem")
        (folder / "public-ca.pem").chmod(0o644)
        yield running
        violations = running.stats()["violations"] if running.process.poll() is None else []
    shutil.rmtree(folder, ignore_errors=True)
    assert violations == []
