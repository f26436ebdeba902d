"""What ansible-lint says at its strictest profile, and the playbooks' syntax."""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ANSIBLE = pathlib.Path(__file__).resolve().parents[2] / "ansible"
PLAYBOOKS = sorted(path.name for path in ANSIBLE.glob("*.yml"))

missing = [tool for tool in ("ansible-lint", "ansible-playbook") if not shutil.which(tool)]
assert not missing or os.environ.get("CI") != "true", missing
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not here: {', '.join(missing)} (tests/ansible/install gets them)")


def lint(folder, home):
    done = subprocess.run(["ansible-lint", "--offline", "--nocolor", "--profile", "production"], cwd=folder, capture_output=True,
                          text=True, check=False, env={**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout + done.stderr


def test_ansible_lint(tmp_path):
    code, said = lint(ANSIBLE, tmp_path)
    assert code == 0 and re.search(r"Passed.*production", said), said


def test_ansible_lint_can_fail(tmp_path):
    copy = tmp_path / "ansible"
    shutil.copytree(ANSIBLE, copy)
    site = copy / "site.yml"
    site.write_text(site.read_text().replace("ansible.builtin.setup:", "setup:"))
    assert lint(copy, tmp_path)[0] != 0


def test_there_are_playbooks():
    assert PLAYBOOKS == ["aws.yml", "remove.yml", "site.yml"]


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_syntax(name, tmp_path):
    done = subprocess.run(["ansible-playbook", "-i", "inventory.example", "--syntax-check", name], cwd=ANSIBLE, capture_output=True,
                          text=True, check=False, env={**os.environ, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", sorted(path.name for path in (ANSIBLE / "roles").iterdir()))
def test_every_variable_has_a_type(role):
    """What defaults/main.yml offers, meta/argument_specs.yml knows; and the other way round."""
    folder = ANSIBLE / "roles" / role
    offered = set(re.findall(rf"^({role}_\w+):", (folder / "defaults/main.yml").read_text(), re.MULTILINE))
    typed = set(re.findall(rf"^ +({role}_\w+):", (folder / "meta/argument_specs.yml").read_text(), re.MULTILINE))
    assert offered and offered == typed
