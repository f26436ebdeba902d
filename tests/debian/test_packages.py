"""The Debian packages, built and installed in clean systems: collecting, upgrading with events that wait, and purging.

One system is used by these tests in their order; a later one needs those before it.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request

import chroot as debian
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/httpd"))

from fake_firehose import FakeFirehose  # noqa: E402
from server import free_port  # noqa: E402

DEB = pathlib.Path(os.environ.get("DEB", TOP / "deb"))
PACKAGES = ("libapache2-mod-clickstream", "clickstream-cgi", "clickstream-tools")
QUEUES = "/var/lib/clickstream"
CONF = "/etc/apache2/mods-available/clickstream.conf"
KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
HEADERS = {"client_id": "app", "Authorization": "Bearer x", "Content-Type": "application/json"}

pytestmark = debian.needed()


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="session")
def cache():
    with debian.whole_cache():
        yield


# --- what is built ---


def test_lintian_finds_nothing():
    """No error, no warning, and nothing that is overridden."""
    changes, = DEB.glob("*.changes")
    done = subprocess.run(["lintian", "-EviI", "--pedantic", "--fail-on", "error,warning,override", changes],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "clickstream-cgi: " in done.stdout  # what it tells for information shows that it looked


def build(chroot):
    """The packages, out of the source package and what it says that it needs; into the system's /build."""
    chroot.path("/build").mkdir()
    for file in [*DEB.glob("*.dsc"), *DEB.glob("*.tar.*")]:
        shutil.copy(file, chroot.path("/build"))
    chroot.install("dpkg-dev")
    chroot.run("sh", "-c", "cd /build && dpkg-source --no-check -x *.dsc source && "
                           "apt-get -q -y --no-install-recommends build-dep ./source")
    return chroot.run("sh", "-c", "cd /build/source && dpkg-buildpackage -b -us -uc")


@pytest.fixture(scope="session")
def built(cache, tmp_path_factory):
    """What a clean system makes of the source package: its words, and the packages by name."""
    folder = tmp_path_factory.mktemp("built")
    if os.environ.get("DEB_QUICK"):
        return None, {file.name.split("_")[0]: file for file in DEB.glob("*.deb")}
    with debian.fresh() as chroot:
        said = build(chroot)
        for file in chroot.path("/build").glob("*.deb"):
            shutil.copy(file, folder)
    return said, {file.name.split("_")[0]: file for file in folder.glob("*.deb")}


def test_the_source_package_builds_in_a_clean_system(built):
    said, packages = built
    if not said:
        pytest.skip("DEB_QUICK is set: the packages of make deb are tried as they are")
    assert re.search(r"100%: Checks: \d{3,}, Failures: 0, Errors: 0", said), said[-3000:]
    assert set(PACKAGES) <= set(packages)


def as_version(package, version, folder):
    """The same package under another version."""
    work = folder / package.stem
    subprocess.run(["dpkg-deb", "-R", package, work], check=True)
    control = work / "DEBIAN/control"
    old = re.search(r"^Version: (.*)$", control.read_text(), re.MULTILINE)[1]
    control.write_text(control.read_text().replace(f"Version: {old}\n", f"Version: {version}\n")
                       .replace(f"(= {old})", f"(= {version})"))
    subprocess.run(["dpkg-deb", "-b", work, folder], check=True, capture_output=True)
    return next(folder.glob(f"{package.name.split('_')[0]}_{version}_*.deb"))


def older(built, folder):
    """Packages of an earlier build, in the folder that DEB_OLD names, or else today's; under a lower version."""
    packages = built[1]
    if os.environ.get("DEB_OLD"):
        packages = {name: next(pathlib.Path(os.environ["DEB_OLD"]).glob(f"{name}_*.deb")) for name in PACKAGES}
    return [as_version(packages[name], "0.0.1", folder) for name in PACKAGES]


# --- a system with a web server ---


class Site:
    def __init__(self, chroot, port):
        self.chroot, self.port, self.run = chroot, port, chroot.run

    def request(self, path, body=None, method=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body and body.encode(),
                                         HEADERS if body else {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def post(self, path, number):
        return self.request(path, json.dumps({"token": "a", "timestamp": "2026-01-31T23:59:59.123Z", "tag": "CLICK",
                                              "value": number}))

    def status(self):
        said = self.run("clickstreamctl", "-f", CONF, "status", "--json")
        return {stream["name"]: stream for stream in json.loads(said)["streams"]}

    def httpd(self):
        """The process that httpd runs as, or None."""
        file = self.chroot.path("/run/apache2/apache2.pid")
        return file.read_text().strip() if file.exists() else None

    def configure(self, directives):
        with open(self.chroot.path(CONF), "a", encoding="utf-8") as file:
            file.write(directives)
        assert "Syntax OK" in self.run("apache2ctl", "configtest")
        self.run("apache2ctl", "restart")


@pytest.fixture(scope="module")
def site(cache):
    """With httpd, on a free port of the loopback. Until it has that, no package may start it."""
    with debian.fresh() as chroot:
        policy = chroot.path("/usr/sbin/policy-rc.d")
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        chroot.install("apache2", "curl")
        port = free_port()
        chroot.path("/etc/apache2/ports.conf").write_text(f"Listen 127.0.0.1:{port}\n")
        chroot.path("/etc/apache2/conf-enabled/name.conf").write_text("ServerName localhost\n")
        policy.write_text("#!/bin/sh\nexit 0\n")  # without one, and without an init system, nothing is restarted
        yield Site(chroot, port)


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    """Not started yet."""
    return FakeFirehose(tmp_path_factory.mktemp("fake"), ":".join(KEYS))


FILES = {
    "libapache2-mod-clickstream": [
        "/etc/apache2/mods-available/clickstream.conf", "/etc/apache2/mods-available/clickstream.load",
        "/usr/lib/apache2/modules/mod_clickstream.so", "/usr/share/doc/libapache2-mod-clickstream/DIRECTIVES.md",
        "/usr/share/doc/libapache2-mod-clickstream/README.Debian",
        "/usr/share/man/man8/mod_clickstream.8.gz"],
    "clickstream-cgi": [
        "/etc/clickstream/clickstream.conf", "/usr/lib/cgi-bin/clickstream.cgi",
        "/usr/share/doc/clickstream-cgi/examples/.htaccess", "/usr/share/man/man8/clickstream.cgi.8.gz"],
    "clickstream-tools": ["/usr/bin/clickstreamctl", "/usr/share/man/man1/clickstreamctl.1.gz", QUEUES],
}


def test_installing(site, built, tmp_path_factory):
    site.chroot.install(*older(built, tmp_path_factory.mktemp("older")))
    for package, files in FILES.items():
        listed = site.run("dpkg", "-L", package).splitlines()
        assert [file for file in files if file not in listed] == []
    assert site.run("stat", "-c", "%U:%G %a", QUEUES) == "www-data:www-data 700\n"
    assert site.run("find", "/usr/lib/apache2/modules/mod_clickstream.so", "/usr/lib/cgi-bin/clickstream.cgi", CONF,
                    "!", "-user", "root") == ""
    assert [name for name in PACKAGES if site.run("dpkg", "--verify", name)] == []


def test_enabling(site):
    site.run("a2dismod", "clickstream")
    assert "clickstream" not in site.run("apache2ctl", "-M")
    site.run("a2enmod", "clickstream")
    assert "Syntax OK" in site.run("apache2ctl", "configtest")
    site.run("/etc/init.d/apache2", "restart")
    assert "clickstream_module" in site.run("apache2ctl", "-M")


def test_nothing_is_collected_until_somebody_says_so(site):
    site.run("a2enmod", "cgid")
    site.run("/etc/init.d/apache2", "restart")  # a new process: a running httpd that is told to load cgid answers 503
    wait_for(lambda: site.post("/", 0) == 200, "httpd's own page")  # Debian's index, which heeds no method
    assert [site.post(path, 0) for path in ("/poc-kstream/", "/clickstream-status")] == [404, 404]
    wait_for(lambda: site.post("/cgi-bin/clickstream.cgi", 0) == 500, "the program to refuse, once cgid is up")
    site.run("a2dismod", "-f", "cgid")
    site.run("/etc/init.d/apache2", "restart")
    assert list(site.chroot.path(QUEUES).iterdir()) == []


def test_smoke(site):
    """debian/tests, as autopkgtest would run it."""
    shutil.copy(TOP / "debian/tests/smoke", site.chroot.path("/var/tmp/smoke"))
    site.run("/var/tmp/smoke", PORT=site.port)
    queues = sorted(site.chroot.path(QUEUES).iterdir())
    assert [queue.name for queue in queues if queue.suffix == ".queue"] == ["smoke-cgi.queue", "smoke.queue"]
    for queue in queues:
        assert (site.run("stat", "-c", "%U", f"{QUEUES}/{queue.name}"), stat.S_IMODE(queue.stat().st_mode)) == \
            ("www-data\n", 0o600)


def test_an_upgrade_loses_nothing(site, built, fake):
    """What waits while Firehose is away is delivered by the new version, which the package has started."""
    with fake:
        shutil.copy(fake.ca, site.chroot.path("/etc/ssl/clickstream-ca.pem"))
        site.chroot.path("/etc/ssl/clickstream-ca.pem").chmod(0o644)
    credentials = site.chroot.path("/etc/clickstream/credentials")
    credentials.write_text(f"[default]\naws_access_key_id = {KEYS[0]}\naws_secret_access_key = {KEYS[1]}\n")
    site.run("chown", "www-data:", "/etc/clickstream/credentials")
    site.run("chmod", "600", "/etc/clickstream/credentials")
    site.configure(f"""
ClickstreamStream clicks firehose region=us-east-1 endpoint={fake.url}/ ca=/etc/ssl/clickstream-ca.pem \\
    credentials=/etc/clickstream/credentials queue=1M
<Location "/poc-kstream/">
    SetHandler clickstream
</Location>
""")
    wait_for(lambda: site.request("/poc-kstream/") == 405, "the module to collect")
    accepted = [number for number in range(200) if site.post("/poc-kstream/", number) == 200]
    before = site.httpd()
    said = site.chroot.install(*(built[1][name] for name in PACKAGES))
    assert "0.0.1" in said and site.httpd() != before, said
    wait_for(lambda: site.request("/poc-kstream/") == 405, "the new version to collect")
    accepted += [number for number in range(200, 300) if site.post("/poc-kstream/", number) == 200]
    assert (accepted, site.status()["clicks"]["waiting"]) == (list(range(300)), 300)
    with fake:
        wait_for(lambda: site.status()["clicks"]["waiting"] == 0, "what has waited")
        assert sorted(event["value"] for event in fake.events()) == accepted
    assert site.run("stat", "-c", "%U:%G %a", QUEUES) == "www-data:www-data 700\n"
    assert "endpoint=" in site.chroot.path(CONF).read_text()


def queues(site):
    folder = site.chroot.path(QUEUES)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else None


def test_removing_and_purging_keep_what_waits(site, fake):
    """And name it; what is empty goes. The new version's clickstreamctl delivers what was kept."""
    assert site.post("/poc-kstream/", 300) == 200
    site.chroot.path(f"{QUEUES}/clicks.rejected").write_text("{}\n")
    site.run("cp", CONF, "/root/clickstream.conf")
    site.run("apt-get", "-q", "-y", "remove", "libapache2-mod-clickstream")
    assert "Syntax OK" in site.run("apache2ctl", "configtest")
    wait_for(lambda: site.post("/poc-kstream/", 301) == 404, "httpd without the module")
    said = site.run("apt-get", "-q", "-y", "purge", *PACKAGES)
    assert queues(site) == ["clicks.queue", "clicks.rejected"], said
    assert f"{QUEUES}/clicks.queue" in said and "events in it may not have been delivered" in said
    assert not site.chroot.path(CONF).exists() and not site.chroot.path("/etc/clickstream/clickstream.conf").exists()


def test_what_was_kept_is_delivered_and_then_purged(site, built, fake):
    site.chroot.install(built[1]["clickstream-tools"])
    with fake:
        site.run("clickstreamctl", "-f", "/root/clickstream.conf", "send")
        assert [event["value"] for event in fake.events()] == list(range(301))
    site.chroot.path(f"{QUEUES}/clicks.rejected").unlink()
    assert queues(site) == ["clicks.queue"]
    site.run("apt-get", "-q", "-y", "purge", "clickstream-tools")
    assert queues(site) is None
    site.run("/etc/init.d/apache2", "stop")
