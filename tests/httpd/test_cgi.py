"""The CGI on a shared host: httpd-conf/cgi/ exactly as it is shipped, under mod_cgid and mod_cgi, and what can happen
to a program that is a process for each request. The contract itself is test_contract.py's."""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import grp
import json
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from cases import event as whole_event
from cases import record as whole_record
from fake_firehose import SLOWNESS
from load import Ledger, event, lines_of, record
from server import BUILD, COLLECTED, HEADERS, LIBEXECDIR, TOP, Httpd, give_to_user, httpd_user, is_running, run_example, \
    wait_for

SHIPPED = TOP / "httpd-conf/cgi"
PATH = "/poc-kstream/"
MODULE_PATH = "/by-module/"
# Whatever the shipped .htaccess needs; a shared host has all of it.
MODULES = """
LoadModule {cgi}_module "{libexec}/mod_{cgi}.so"
LoadModule rewrite_module "{libexec}/mod_rewrite.so"
LoadModule setenvif_module "{libexec}/mod_setenvif.so"
LoadModule env_module "{libexec}/mod_env.so"
LoadModule filter_module "{libexec}/mod_filter.so"
LoadModule deflate_module "{libexec}/mod_deflate.so"
<IfModule cgid_module>
    ScriptSock "@ROOT@/cgid.sock"
</IfModule>
<Directory "@ROOT@/htdocs">
    AllowOverride AuthConfig FileInfo Limit Options
    Require all granted
</Directory>
"""
# Another stream for the module itself, which has to be somewhere.
OWN_STREAM = 'ClickstreamStream own file "path=@ROOT@/own" queue=1M\n'
DOORS = [("cgid", "event"), ("cgid", "prefork"), ("cgi", "prefork")]
DOOR_IDS = ["mod_cgid, event", "mod_cgid, prefork", "mod_cgi, prefork"]


def gzipped(text):
    return subprocess.run(["gzip", "-c"], input=text.encode(), capture_output=True, check=True).stdout


class Site(Httpd):
    """A web site with the collector, uploaded as the README says; the module's own location is MODULE_PATH."""

    def __init__(self, fake, keys, cgi="cgid", mpm="event", options="queue=4M", module_stream=OWN_STREAM, **more):
        super().__init__(mpm=mpm, **more)
        self.configure(MODULES.format(cgi=cgi, libexec=LIBEXECDIR) + module_stream)
        self.home = self.root / "home"
        self.folder = self.root / "htdocs"
        self.conf = self.home / "clickstream/clickstream.conf"
        self.queue = self.home / "clickstream/queue"
        self.program, self.sender = self.folder / "poc-kstream", self.conf.parent / "clickstreamctl"
        self.log_of_delivery = self.queue / "clickstream.log"
        self._upload()
        self._write_values(fake, keys, options)

    def configure(self, *arguments):
        super().configure(*arguments)
        self.replace(self.root / "httpd.conf", f'<Location "{PATH}">', f'<Location "{MODULE_PATH}">')

    def _upload(self):
        self.conf.parent.mkdir(parents=True)
        shutil.copy(BUILD / "cgi/clickstream.cgi", self.folder / "poc-kstream")
        shutil.copy(BUILD / "cgi/clickstreamctl", self.sender)
        shutil.copy(SHIPPED / ".htaccess", self.folder)
        shutil.copy(SHIPPED / "clickstream.conf", self.conf)
        give_to_user(self.conf.parent)

    def _write_values(self, fake, keys, options):
        self.replace(self.folder / ".htaccess", "/home/me", str(self.home))
        self.replace(self.conf, "/home/me", str(self.home))
        self.replace(self.conf, "region=us-east-1",
                     f"region=us-east-1 endpoint={fake.url}/ ca={fake.directory}/public-ca.pem")
        self.replace(self.conf, "queue=16M", options)
        credentials = self.conf.parent / "credentials"
        credentials.write_text("[default]\naws_access_key_id = {AWS_ACCESS_KEY_ID}\n"
                               "aws_secret_access_key = {AWS_SECRET_ACCESS_KEY}\n".format(**keys))
        credentials.chmod(0o600)
        give_to_user(credentials)

    @staticmethod
    def replace(path, old, new):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def collect(self, text=None, headers=None, **more):
        return self.request(path=PATH, body=text if text is not None else whole_event(),
                            headers={**HEADERS, **(headers or {})}, **more)

    def ctl(self, *arguments):
        """clickstreamctl as cron runs it: as the account, with next to no environment."""
        user = httpd_user()
        account = pwd.getpwnam(user) if user else None
        return subprocess.run([str(self.sender), "-f", str(self.conf), *arguments], env={},
                              capture_output=True, text=True, timeout=60, check=False,
                              **({"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if user else {}))

    def processes(self, *programs):
        """The pids of the site's programs."""
        programs = {str(path) for path in programs or (self.program, self.sender)}
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                program = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if program in programs:
                found.append(int(pid))
        return found

    def stop(self):
        super().stop()
        wait_for(lambda: not self.processes(), 30, "the last delivery's end")


@pytest.fixture(params=DOORS, ids=DOOR_IDS)
def door(request, fake, keys):
    cgi, mpm = request.param
    with Site(fake, keys, cgi, mpm) as site:
        yield site


# --- as shipped ---


def test_the_shipped_lines_collect_behind_those_of_an_application(fake, keys):
    """Whose rules take the collector's URL for one of its own: the file's name with a slash behind it is no file."""
    rules = "RewriteEngine On\nRewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nRewriteRule ^ /index.php [L]\n"
    with Site(fake, keys) as site:
        (site.folder / "index.php").write_text("a page")
        lines = site.folder / ".htaccess"
        lines.write_text(rules + lines.read_text())
        assert site.request("GET", "/other").text == "a page"
        assert site.collect().text == COLLECTED


def test_the_shipped_files_collect(door, fake):
    """An app's POST, a browser's preflight, a compressed body, and a stranger."""
    response = door.collect(event(1))
    assert (response.status, response.text) == (200, COLLECTED)
    assert response.headers.get_all("Content-Type") == ["application/json"]
    assert door.collect(event(2), {"client_id": "stranger"}).status == 403
    assert door.collect(event(2), {"Authorization": None}).status == 401
    preflight = door.request("OPTIONS", PATH, headers={
        "Origin": "https://app.example.com", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,client_id,content-type"})
    assert (preflight.status, preflight.text) == (204, "")
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert door.request("HEAD", PATH).status == 405
    assert door.collect(gzipped(event(2)), {"Content-Encoding": "gzip"}).status == 200
    chunks = f"{len(event(3)):x}\r\n{event(3)}\r\n0\r\n\r\n"
    assert door.collect(iter([chunks.encode()]), {"Transfer-Encoding": "chunked"}).status == 200
    wait_for(lambda: len(lines_of(fake)) >= 3, what="the events")
    assert sorted(lines_of(fake)) == sorted(map(record, (1, 2, 3)))
    assert door.ctl("send").returncode == 0


def test_the_example_of_the_page_works(fake, keys):
    with Site(fake, keys) as site:
        assert run_example(SHIPPED / "README.md", site.port) == COLLECTED
        wait_for(lambda: lines_of(fake), what="the event")


def test_the_three_steps_name_what_is_there():
    text = (SHIPPED / "README.md").read_text()
    for name in re.findall(r"`([\w.]*(?:\.htaccess|\.conf|\.cgi|ctl))`", text):
        assert (SHIPPED / name).exists() or (BUILD / "cgi" / name).exists(), name
    assert "clickstreamctl send" in text


def test_without_a_variable_the_place_is_named(fake, keys):
    """By hand, with an environment such as suexec lets through; it knows HTTP_… and drops CLICKSTREAM_CONFIG."""
    with Site(fake, keys) as site:
        environment = {"REQUEST_METHOD": "POST", "HTTP_CLIENT_ID": "touchwood-app", "HTTP_AUTHORIZATION": "Bearer x",
                       "REMOTE_ADDR": "192.0.2.1", "CONTENT_LENGTH": str(len(event(1))), "PATH": "/usr/bin:/bin"}
        done = subprocess.run([site.program], env=environment, input=event(1), text=True,
                              capture_output=True, timeout=30, check=True)
    assert done.stdout.startswith("Status: 500")
    assert re.search(r"^clickstream: /\S+/clickstream/clickstream\.conf: .*CLICKSTREAM_CONFIG in the environment",
                     done.stderr)


# --- httpd's ways with headers ---


def test_without_its_line_the_client_id_does_not_arrive(fake, keys):
    """httpd drops a header with an underscore from a CGI's environment."""
    with Site(fake, keys) as site:
        line = 'SetEnvIfNoCase ^client_id$ "(.+)" CLICKSTREAM_CLIENT_ID=$1 HTTP_CLIENT_ID=$1\n'
        site.replace(site.folder / ".htaccess", line, "")
        assert site.collect().status == 403
        assert site.collect(headers={"client_id": None, "client-id": "touchwood-app"}).status == 200
        wait_for(lambda: lines_of(fake))


def test_without_its_line_the_authorization_does_not_arrive(fake, keys):
    with Site(fake, keys) as site:
        site.replace(site.folder / ".htaccess", "CGIPassAuth On", "")
        assert site.collect().status == 401


# --- a wrong configuration ---


def check_fails(site, *texts):
    site.expected_errors = ["clickstream: "]
    response = site.collect()
    assert (response.status, json.loads(response.text)["response_code"]) == (500, "50001")
    log = site.log() + site.console()
    for text in texts:
        assert text in log


def test_no_configuration(fake, keys):
    with Site(fake, keys) as site:
        site.conf.unlink()
        check_fails(site, str(site.conf))


def test_wrong_line_is_named(fake, keys):
    with Site(fake, keys) as site:
        lines = site.conf.read_text().splitlines()
        site.conf.write_text("\n".join([*lines, "ClickstreamMaxEvents many"]) + "\n")
        check_fails(site, f"{site.conf}, line {len(lines) + 1}: ClickstreamMaxEvents: \"many\"")
        done = site.ctl("check")
        assert done.returncode == 78 and f"line {len(lines) + 1}" in done.stderr


def test_queue_folder_that_cannot_be_made(fake, keys):
    with Site(fake, keys) as site:
        site.replace(site.conf, f"{site.home}/clickstream/queue", f"{site.conf}/queue")
        check_fails(site, f"{site.conf}/queue")


# --- delivery ---


def test_no_request_waits_for_firehose(door, fake):
    fake.faults([{"kind": "hang", "seconds": 60}])
    began = time.monotonic()
    for number in range(5):
        assert door.collect(event(number)).status == 200
    assert time.monotonic() - began < 5 * SLOWNESS
    wait_for(lambda: not door.processes(door.program), 5, "the end of what httpd started")
    wait_for(lambda: len(door.processes(door.sender)) == 1, what="one to deliver, and the others to leave it alone")
    fake.faults([])
    for pid in door.processes(door.sender):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not door.processes(door.sender), what="its end, until which it is the sender")
    assert door.collect(event(5)).status == 200
    wait_for(lambda: len(set(lines_of(fake))) >= 6, what="all events")
    assert set(lines_of(fake)) == set(map(record, range(6)))


def test_trouble_is_in_the_log_beside_the_queue(fake, keys):
    with Site(fake, keys) as site:
        fake.faults([{"kind": "status", "code": 500}])
        assert site.collect(event(1)).status == 200
        wait_for(lambda: site.log_of_delivery.exists() and "delivery has failed" in site.log_of_delivery.read_text(),
                 what="the log line")
        fake.faults([])
        wait_for(lambda: lines_of(fake) == [record(1)], what="the event")
        assert site.log_of_delivery.stat().st_mode & 0o777 == 0o600


def test_a_group_shares_what_the_cgi_makes(fake, keys):
    with Site(fake, keys) as site:
        group = grp.getgrgid(site.conf.parent.stat().st_gid)
        site.replace(site.conf, "ClickstreamStream ", f"ClickstreamQueueGroup {group.gr_name}\nClickstreamStream ")
        assert site.collect(event(1)).status == 200
        wait_for(lambda: lines_of(fake) == [record(1)], what="the event")
        made = {path.name: (path.stat().st_mode & 0o777, path.stat().st_gid) for path in [site.queue, *site.queue.iterdir()]}
        assert made == {name: (0o770 if name == "queue" else 0o660, group.gr_gid) for name in made}
        assert {"queue", "clicks.queue", "clickstream.log"} <= set(made)
        checked = site.ctl("check")
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="root is a member of every group, others may be of all that there are")
def test_a_group_that_the_account_is_no_member_of(fake, keys):
    """Everything is collected all the same."""
    with Site(fake, keys) as site:
        site.expected_errors = ["cannot be given to ClickstreamQueueGroup root: make the file's owner a member of it"]
        site.replace(site.conf, "ClickstreamStream ", "ClickstreamQueueGroup root\nClickstreamStream ")
        assert site.ctl("check").stderr.rstrip().endswith(
            "ClickstreamQueueGroup root: this user is no member of it, and cannot give it files: have it made a member, "
            "or leave the line out")
        assert site.collect(event(1)).status == 200
        wait_for(lambda: lines_of(fake) == [record(1)], what="the event")
        assert (site.queue / "clicks.queue").stat().st_mode & 0o777 == 0o600


def test_who_delivers_is_told_nothing_of_the_request(fake, keys):
    """A process of its own, whose arguments everybody can see, and which is there for longer."""
    with Site(fake, keys) as site:
        seen = site.conf.parent / "seen"
        site.sender.write_text(f"#!/bin/sh\n{{ echo \"$@\"; tr '\\0' '\\n' </proc/$$/environ; }} >{seen}.new\nmv {seen}.new {seen}\n")
        told = {"Authorization": "Bearer told-to-nobody-1", "Cookie": "session=told-to-nobody-2", "X-Amz": "told-to-nobody-3"}
        assert site.collect(event(1), headers=told).status == 200
        wait_for(seen.exists, what="the program in clickstreamctl's place")
        arguments, *environment = seen.read_text().splitlines()
        assert arguments == f"-f {site.conf} send -t 20s -w 2s"
        assert "told-to-nobody" not in seen.read_text()
        assert not [line for line in environment if line.startswith(("HTTP_", "REQUEST_", "QUERY_", "REMOTE_"))]


def test_a_long_log_is_put_aside(fake, keys):
    with Site(fake, keys) as site:
        assert site.collect(event(1)).status == 200
        wait_for(lambda: lines_of(fake), what="the event")
        wait_for(lambda: not site.processes(), what="its end")
        site.log_of_delivery.write_text("x" * ((1 << 20) + 1))
        assert site.collect(event(2)).status == 200
        wait_for(lambda: len(lines_of(fake)) == 2, what="the event")
        assert site.log_of_delivery.stat().st_size == 0
        assert (site.queue / "clickstream.log.1").stat().st_size == (1 << 20) + 1


def test_cron_delivers_what_no_request_did(fake, keys):
    with Site(fake, keys) as site:
        site.sender.rename(site.root / "elsewhere")
        for number in range(3):
            assert site.collect(event(number)).status == 200
        wait_for(lambda: not site.processes(), what="the last request's end")  # or it finds the program after all
        assert lines_of(fake) == []
        (site.root / "elsewhere").rename(site.sender)
        done = site.ctl("send")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert sorted(lines_of(fake)) == sorted(map(record, range(3)))


def test_a_full_queue(fake, keys):
    with Site(fake, keys, options="queue=1M") as site:
        fake.faults([{"kind": "status", "code": 500}])
        site.expected_errors = ["clients get 503"]
        sent = []
        while True:
            text = whole_event(f'"n":{len(sent)},"value":"{"x" * 60000}"')
            response = site.collect(text)
            if response.status != 200:
                break
            sent.append(text)
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert 10 < len(sent) < 20
        assert "stream clicks: its queue is full, clients get 503" in site.log() + site.console()
        fake.faults([])
        site.ctl("send")
        wait_for(lambda: len(set(lines_of(fake))) == len(sent), what="all events")
        assert set(lines_of(fake)) == set(map(whole_record, sent))


# --- beside the module ---


def test_module_and_cgi_share_a_queue(fake, keys):
    """One queue file, two doors, one sender, and records that do not tell by which door they came."""
    options = f"region=us-east-1 endpoint={fake.url}/ ca={fake.directory}/public-ca.pem linger=20ms queue=4M"
    site = Site(fake, keys, environment=dict(keys))
    site.configure(MODULES.format(cgi="cgid", libexec=LIBEXECDIR)
                   + f'ClickstreamQueueDir "{site.queue}"\nClickstreamStream clicks firehose {options}\n')
    with site:
        for number in range(0, 40, 2):
            assert site.collect(event(number)).status == 200
            assert site.post(event(number + 1), path=MODULE_PATH).status == 200
        wait_for(lambda: len(lines_of(fake)) >= 40, what="all events")
    assert sorted(lines_of(fake)) == sorted(map(record, range(40)))
    assert [path.name for path in site.queue.glob("*.queue")] == []  # gone with the site


# --- many at once, and killed ---

REQUESTS = 200
KILLED = 0.05


class Killer(threading.Thread):
    """Kills -9 a share of the site's processes, each at a random moment of its life; one of them at least."""

    def __init__(self, site, share, seed=3):
        super().__init__(daemon=True)
        self.site, self.share = site, share
        self.random = random.Random(seed)
        self.seen, self.killed = set(), 0
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            for pid in set(self.site.processes()) - self.seen:
                self.seen.add(pid)
                if self.random.random() < self.share or (self.share and not self.killed):
                    time.sleep(self.random.random() * 0.002)
                    try:
                        os.kill(pid, signal.SIGKILL)
                        self.killed += 1
                    except ProcessLookupError:
                        pass

    def finish(self):
        self.done.set()
        self.join()


@pytest.mark.parametrize("share", [0, KILLED, 0.3], ids=["none killed", "5% killed", "30% killed"])
def test_many_requests_at_once_lose_nothing_that_was_answered(fake, keys, share):
    ledger = Ledger()

    def post(number):
        try:
            ledger.note([number], site.collect(event(number)).status)
        except OSError:
            ledger.note([number], 0)

    with Site(fake, keys) as site:
        site.expected_errors = ["AH01215", "Premature end of script headers", "End of script output before headers",
                                "AH02550", "clickstream:", "AH01223", "AH02651", "MaxRequestWorkers"]
        killer = Killer(site, share)
        killer.start()
        with concurrent.futures.ThreadPoolExecutor(REQUESTS) as threads:
            list(threads.map(post, range(REQUESTS)))
        killer.finish()
        assert len(ledger.sent) == REQUESTS
        assert len(ledger.promised) == REQUESTS if not share else len(ledger.promised) > REQUESTS / 2
        # Whoever delivered may have been the last one killed; then it is cron's.
        wait_for(lambda: not site.processes(), 30, "the last delivery's end")
        assert site.ctl("send").returncode == 0
        ledger.refused.clear()  # 500 is httpd's word for a program that was killed, perhaps after its append
        duplicates = ledger.check(lines_of(fake), duplicates_allowed=share > 0)
        stats = fake.stats()
        print(f"\n{REQUESTS} requests at once, {killer.killed} of {len(killer.seen)} processes killed: answers "
              f"{ledger.statuses}, {stats['requests']} requests to Firehose, {duplicates} duplicates")
        assert share == 0 or killer.killed > 0
        assert all(not is_running(pid) for pid in site.processes())
