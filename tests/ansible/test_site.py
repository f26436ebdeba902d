"""Runs site.yml against a bare Debian: from nothing to delivered events, once more without a change, and what may go wrong.

The tests use one system in their order; a later one needs those before it.
"""
# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/debian"), str(TOP / "tests/httpd")]

import chroot as debian  # noqa: E402
import test_packages  # noqa: E402
from fake_firehose import FakeFirehose  # noqa: E402
from server import free_port  # noqa: E402
from test_packages import cache, wait_for  # noqa: E402,F401

ANSIBLE = TOP / "ansible"
DEB = test_packages.DEB
KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NAME = "collect.example.com"
OBJECTS = "/srv/objects"
SITE = "/etc/apache2/sites-available/clickstream.conf"
FILES = {"name": "trial", "sink": "file", "options": {"path": OBJECTS, "interval": "1s", "queue": "1M"}}
SECRET = "0123456789abcdef0123456789abcdef\n"

pytestmark = debian.needed("ansible-playbook")


class Server:
    """A system in a folder, as Ansible's chroot connection sees it."""

    def __init__(self, chroot, folder):
        self.chroot, self.folder, self.port, self.https_port = chroot, folder, free_port(), free_port()
        enter = folder / "enter"
        given = " ".join(shlex.quote(f"{key}={value}") for key, value in debian.environment().items())
        enter.write_text(f'#!/bin/sh\nexec setsid -w nsenter -t {chroot.pid} -m -p env -i {given} chroot "$@"\n')
        enter.chmod(0o755)
        host = {"ansible_connection": "community.general.chroot", "ansible_host": str(chroot.root), "ansible_user": "root",
                "ansible_chroot_exe": str(enter)}
        (folder / "inventory.yml").write_text(json.dumps({"clickstream": {"hosts": {"bare": host}}}))
        self.base = {
            "clickstream_server_name": NAME, "clickstream_server_port": self.port, "clickstream_server_https_port": self.https_port,
            "clickstream_server_listen": [f"127.0.0.1:{self.port}", f"127.0.0.1:{self.https_port}"],
            "clickstream_server_packages": str(DEB), "clickstream_server_check_seconds": 60,
        }

    def try_play(self, *arguments, **variables):
        """The play's return code and what it printed."""
        given = self.folder / "variables.json"
        given.write_text(json.dumps({**self.base, **variables}))
        done = subprocess.run(
            ["ansible-playbook", "-i", self.folder / "inventory.yml", "-e", f"@{given}", *arguments, "site.yml"],
            cwd=ANSIBLE, env={**os.environ, "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(self.folder / "home"),
                              "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp")},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            start_new_session=True, timeout=900)
        return done.returncode, done.stdout

    def play(self, *arguments, **variables):
        code, said = self.try_play(*arguments, **variables)
        assert code == 0, said[-6000:]
        return said

    def play_twice(self, **variables):
        """And see that the second one changes nothing."""
        said = self.play(**variables)
        again = self.play(**variables)
        assert re.search(r"bare\s+: ok=\d+\s+changed=0 .*failed=0 ", again), changes(again)
        return said

    def request(self, path, body=None, headers=(), port=None, scheme="http"):
        """Status, headers and body; None while nobody listens."""
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{port or self.port}{path}", body,
                                         {"Host": NAME, "client_id": "app", "Authorization": "Bearer x", "Content-Type": "application/json",
                                          **dict(headers)})
        context = ssl._create_unverified_context() if scheme == "https" else None
        opener = urllib.request.build_opener(Stay, *([urllib.request.HTTPSHandler(context=context)] if context else []))
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except OSError:
            return None

    def post(self, number, **more):
        event = {"token": "a", "timestamp": "2026-01-31T23:59:59.123Z", "tag": "CLICK", "value": number}
        answer = self.request("/poc-kstream/", json.dumps(event).encode(), **more)
        return answer and answer[0]

    def mode(self, path):
        return self.chroot.run("stat", "-c", "%U:%G %a", path).strip()

    def waiting(self):
        said = self.chroot.run("clickstreamctl", "-f", SITE, "status", "--json")
        return sum(stream["waiting"] for stream in json.loads(said)["streams"])

    def objects(self):
        """The events in the objects of the file stream."""
        return [json.loads(line) for path in sorted(self.chroot.path(OBJECTS).rglob("*")) if path.is_file()
                and not path.name.startswith(".") for line in path.read_text().splitlines()]


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def changes(said):
    """The tasks that changed something, of all that a play printed."""
    return "\n".join(part.strip() for part in said.split("\nTASK ") if "changed: [" in part) + said[-400:]


def values(events):
    return sorted(event["value"] for event in events if event["tag"] == "CLICK")


def tags(events):
    return {event["tag"] for event in events}


@pytest.fixture(scope="module")
def server(cache, tmp_path_factory):  # noqa: F811
    with debian.fresh() as chroot:
        yield Server(chroot, tmp_path_factory.mktemp("ansible"))
        if chroot.path("/etc/init.d/apache2").exists():
            chroot.try_run("/etc/init.d/apache2", "stop")


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    return FakeFirehose(tmp_path_factory.mktemp("fake"), ":".join(KEYS))


def firehose(fake):
    return {
        "clickstream_server_streams": [{"name": "clicks", "sink": "firehose", "options": {
            "region": "us-east-1", "endpoint": f"{fake.url}/", "ca": "/etc/ssl/clickstream-ca.pem", "queue": "1M"}}],
        "clickstream_server_aws_access_key_id": KEYS[0], "clickstream_server_aws_secret_access_key": KEYS[1],
    }


# --- nothing is there yet ---

STREAMS = [FILES]
WRONG = {
    "no stream": ({}, "clickstream_server_streams is empty"),
    "a sink that is none": ({"clickstream_server_streams": [{"name": "a", "sink": "s3"}]}, "sink"),
    "a file stream without a folder": ({"clickstream_server_streams": [{"name": "a", "sink": "file"}]},
                                       "stream a: write the folder for its objects"),
    "another stream": ({"clickstream_server_streams": STREAMS, "clickstream_server_deliver_to": "clicks"},
                       "clickstream_server_deliver_to is clicks, which is none of"),
    "half of a key": ({"clickstream_server_streams": STREAMS, "clickstream_server_aws_access_key_id": "AKID"},
                      "Write both clickstream_server_aws_access_key_id"),
    "tokens without keys": ({"clickstream_server_streams": STREAMS, "clickstream_server_auth": "jwt",
                             "clickstream_server_clients": [{"id": "app"}]}, "needs a secret or a key"),
    "a certificate without its key": ({"clickstream_server_streams": STREAMS, "clickstream_server_certificate": "x"},
                                      "both or none"),
    "a line too many": ({"clickstream_server_streams": STREAMS, "clickstream_server_origins": ["https://a\nRequire all granted"]},
                        "has a line break"),
    "another install": ({"clickstream_server_streams": STREAMS, "clickstream_server_install": "rpm"}, "must be one of"),
}


def test_check_of_a_system_without_python(server):
    said = server.play("--check", clickstream_server_streams=STREAMS)
    assert "This server has no Python yet" in said and not server.chroot.path("/usr/bin/python3").exists()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_anything_is_done(server, name):
    variables, expected = WRONG[name]
    code, said = server.try_play(**variables)
    assert code != 0 and expected in re.sub(r"\s+", " ", said), said[-3000:]
    assert not server.chroot.path("/etc/apache2").exists()


def test_check_of_an_empty_system(server):
    said = server.play("--check", clickstream_server_streams=STREAMS)
    assert "This server has no httpd yet" in said and "failed=0" in said
    assert not server.chroot.path("/etc/apache2").exists()


def test_missing_packages(server, tmp_path):
    code, said = server.try_play(clickstream_server_streams=STREAMS, clickstream_server_packages=str(tmp_path))
    assert code != 0 and "Run ./bootstrap && make deb on Debian bookworm" in re.sub(r"\s+", " ", said)


# --- a stream of files ---


def test_from_a_bare_system_to_objects(server):
    said = server.play_twice(clickstream_server_streams=STREAMS)
    assert f"{NAME} collects, and delivers to trial" in said
    assert [server.post(number) for number in range(20)] == [200] * 20
    wait_for(lambda: values(server.objects()) == list(range(20)), "the objects")
    assert "CLICKSTREAM_CHECK" in tags(server.objects())
    assert (server.mode(OBJECTS), server.mode("/var/lib/clickstream")) == ("www-data:www-data 700",) * 2
    assert not server.chroot.path("/etc/clickstream/credentials").exists()


def test_check_changes_nothing(server):
    said = server.play("--check", clickstream_server_streams=STREAMS, clickstream_server_origins=["https://new.example.com"])
    assert re.search(r"changed=[1-9]", said) and "new.example.com" not in server.chroot.path(SITE).read_text()


def test_what_httpd_does_not_accept_leaves_all_as_it_was(server):
    before = server.chroot.path(SITE).read_text()
    code, said = server.try_play(clickstream_server_streams=STREAMS, clickstream_server_extra="NoSuchDirective on")
    assert code != 0 and "runs on with the one that it had" in said and "NoSuchDirective" in said, said[-3000:]
    assert server.chroot.path(SITE).read_text() == before
    assert [path.name for path in server.chroot.path("/etc/apache2/sites-available").iterdir() if "~" in path.name] == []
    assert server.post(20) == 200


# --- the fake Firehose ---


def test_firehose(server, fake):
    with fake:
        shutil.copy(fake.ca, server.chroot.path("/etc/ssl/clickstream-ca.pem"))
        server.chroot.path("/etc/ssl/clickstream-ca.pem").chmod(0o644)
        said = server.play_twice(**firehose(fake))
        assert f"{NAME} collects, and delivers to clicks" in said
        assert KEYS[1] not in said
        assert [server.post(number) for number in range(100)] == [200] * 100
        wait_for(lambda: values(fake.events()) == list(range(100)), "the events")
        assert "CLICKSTREAM_CHECK" in tags(fake.events())
    assert server.mode("/etc/clickstream/credentials") == "www-data:www-data 600"


def test_an_event_that_is_not_delivered_is_told_with_the_way_out(server, fake):
    code, said = server.try_play(**firehose(fake), clickstream_server_check_seconds=6)
    said = re.sub(r"\s+", " ", said)
    assert code != 0 and "is safe in the queue, but after 6 seconds it is not delivered to clicks" in said, said[-3000:]
    assert "/var/log/apache2/error.log on bare" in said


def test_an_upgrade_loses_nothing(server, fake, tmp_path):
    """What waits while Firehose is away is delivered by the new version."""
    accepted = [number for number in range(200, 260) if server.post(number) == 200]
    for name in ("clickstream-tools", "libapache2-mod-clickstream"):
        package, = DEB.glob(f"{name}_*.deb")
        test_packages.as_version(package, "9.0.0", tmp_path)
    assert server.waiting() >= 60
    variables = {**firehose(fake), "clickstream_server_packages": str(tmp_path)}
    server.play(**variables, clickstream_server_check=False)
    assert "9.0.0" in server.chroot.run("dpkg-query", "-W", "libapache2-mod-clickstream")
    assert server.waiting() >= 60 and accepted == list(range(200, 260))
    with fake:
        server.play_twice(**variables)
        wait_for(lambda: values(fake.events()) == [*range(100), *accepted], "what has waited")


def test_packages_of_the_same_version_are_installed_when_they_are_others(server, fake, tmp_path):
    for name in ("clickstream-tools", "libapache2-mod-clickstream"):
        package, = DEB.glob(f"{name}_*.deb")
        test_packages.as_version(package, "9.0.0", tmp_path)
    tools = tmp_path / "tools"
    subprocess.run(["dpkg-deb", "-R", tmp_path / f"clickstream-tools_9.0.0_{debian.architecture()}.deb", tools], check=True)
    (tools / "usr/share/doc/clickstream-tools/anew").write_text("x")
    subprocess.run(["dpkg-deb", "-b", tools, tmp_path], check=True, capture_output=True)
    with fake:
        server.play_twice(**{**firehose(fake), "clickstream_server_packages": str(tmp_path)})
    assert server.chroot.path("/usr/share/doc/clickstream-tools/anew").exists()


def test_rotated_keys_need_no_reload(server, fake):
    new = ("AKIDROTATED", "another/secret")
    with fake:
        server.play(**firehose(fake))
        before = server.chroot.path("/run/apache2/apache2.pid").stat().st_mtime_ns
        fake.set_credentials({new[0]: {"secret": new[1]}})
        said = server.play(**{**firehose(fake), "clickstream_server_aws_access_key_id": new[0],
                              "clickstream_server_aws_secret_access_key": new[1]})
    assert "collects, and delivers to clicks" in said and "Reload httpd" not in said and "Restart httpd" not in said
    assert server.chroot.path("/run/apache2/apache2.pid").stat().st_mtime_ns == before


# --- the whole site ---


def token(client):
    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    parts = ({"alg": "HS256"}, {"iss": client, "exp": int(time.time()) + 60})
    signed = b".".join(encoded(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + encoded(hmac.new(SECRET.strip().encode(), signed, hashlib.sha256).digest())).decode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    f"/CN={NAME}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    return {"clickstream_server_certificate": (folder / "cert.pem").read_text(),
            "clickstream_server_certificate_key": (folder / "key.pem").read_text()}


def test_tls_tokens_and_touchwood(server, certificate, tmp_path):
    (tmp_path / "firewall.yml").write_text(
        "- name: Open\n  ansible.builtin.copy:\n    content: \"{{ clickstream_server_open_ports }}\"\n    dest: /root/ports\n    mode: '0644'\n")
    said = server.play_twice(
        **certificate, clickstream_server_streams=STREAMS, clickstream_server_tls="files", clickstream_server_auth="jwt",
        clickstream_server_clients=[{"id": "app", "secret": SECRET}], clickstream_server_origins=["https://app.example.com"],
        clickstream_server_directives={"ClickstreamAdd": "event_id", "ClickstreamMaxBody": "256K", "ClickstreamPixel": True},
        clickstream_server_queue_group="operators", clickstream_server_protect_system="strict", clickstream_server_firewall=str(tmp_path / "firewall.yml"),
        clickstream_webapp_hosting="server")
    assert json.loads(server.chroot.path("/root/ports").read_text()) == [server.port, server.https_port]
    assert SECRET.strip() not in said and "PRIVATE KEY" not in said
    tls = {"port": server.https_port, "scheme": "https"}
    assert server.post(1000, **tls) == 401
    assert server.post(1001, headers={"Authorization": f"Bearer {token('app')}"}, **tls) == 200
    wait_for(lambda: 1001 in values(server.objects()), "the object")
    assert all("event_id" in event for event in server.objects() if event.get("value") == 1001)
    status, headers, _ = server.request("/poc-kstream/?a=b")
    assert (status, headers["Location"]) == (308, f"https://{NAME}:{server.https_port}/poc-kstream/?a=b")
    status, headers, body = server.request("/", **tls)
    assert (status, b"Touchwood" in body) == (200, True)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert server.request("/clickstream.js", **tls)[0] == 200
    assert [server.mode(f"/etc/clickstream/{name}") for name in ("app.secret", "certificate.pem", "certificate-key.pem")] == \
        ["root:root 600"] * 3
    assert server.mode("/var/lib/clickstream") == "www-data:operators 770"
    assert server.mode("/var/lib/clickstream/trial.queue") == "www-data:operators 660"
    assert not server.chroot.path("/etc/clickstream/credentials").exists()  # the keys that it does not need any more


def test_the_log_is_rotated(server):
    log = server.chroot.path("/var/log/clickstream/access.log")
    assert "/poc-kstream/" in log.read_text()
    server.chroot.run("logrotate", "-f", "/etc/logrotate.d/clickstream")
    assert server.chroot.path("/var/log/clickstream/access.log.1").stat().st_size > 0
    wait_for(lambda: server.request("/rotated", port=server.https_port, scheme="https") and "/rotated" in log.read_text(),
             "a request in the new log")


def test_systemd_understands_how_httpd_is_confined(server):
    server.chroot.install("systemd")
    said = server.chroot.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "/lib/systemd/system/apache2.service")
    assert "clickstream.conf" not in said, said
    listed = server.chroot.run("systemd-analyze", "security", "--offline=true", "--no-pager", "apache2.service")
    for name in ("NoNewPrivileges=", "ProtectSystem=", "PrivateTmp="):
        assert re.search(rf"✓ {name}", listed), listed
    dropped = server.chroot.path("/etc/systemd/system/apache2.service.d/clickstream.conf").read_text()
    assert "ProtectSystem=strict" in dropped and "ReadWritePaths=-/var/lib/clickstream" in dropped
    assert "Restart=on-failure" in dropped and f"ReadWritePaths=-{OBJECTS}" in dropped


# --- from source ---


def test_from_source(cache, tmp_path, tmp_path_factory):  # noqa: F811
    tarball, = TOP.glob("mod_clickstream-*.tar.xz")
    with debian.fresh() as chroot:
        server = Server(chroot, tmp_path_factory.mktemp("source"))
        try:
            server.play_twice(clickstream_server_streams=STREAMS, clickstream_server_install="source",
                              clickstream_server_tarball=str(tarball))
            assert server.post(1) == 200
            wait_for(lambda: values(server.objects()) == [1], "the object")
        finally:
            chroot.try_run("/etc/init.d/apache2", "stop")
