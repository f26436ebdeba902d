"""A user's quota is used up, or files may not grow beyond a limit, while httpd, the CGI or clickstreamctl writes: no process
dies of it, what cannot be kept is refused, what waits stays, the log says what to do, and it goes on once there is room.

The limit is the kernel's own, RLIMIT_FSIZE, with which comes a SIGXFSZ; the quota is quota.c, as no test can switch a
file system's on everywhere."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import os
import pathlib
import re
import resource
import subprocess

import pytest
from load import event, lines_of, record
from server import ADDED, BUILD, FILE_STREAM, HEADERS, Httpd, firehose_stream, preloaded, public_folder, wait_for
from test_cgi import Site
from test_ctl import ctl, save, status, write_conf

LIMIT = 32768  # more than a log of these tests, less than a queue or an event of LONG
LONG = f'{event(7)[:-1]},"long":"{"x" * 40000}"}}'
NO_DATA = (500, '{"response_code":"50001","message":"Failed to collect data."}')


class FileSize:
    """No file of these processes may grow beyond LIMIT."""
    error = "File too large"
    what_to_do = "raise the limit on the size of files, which is LimitFSIZE= of systemd's and ulimit -f of a shell"
    environment = {}

    def __init__(self, folder):
        self.used_up = False

    def limit(self, pid):
        """Only a process of the same user may do this, and root not always. A child begins as its parent's user, and is
        another's a moment later."""
        user = int(re.search(r"^Uid:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])
        done = subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={LIMIT if self.used_up else 'unlimited'}:"],
                              check=False, **({} if user == os.geteuid() else
                                              {"user": user, "group": user, "extra_groups": []}))
        return done.returncode == 0

    def apply(self, pids):
        for pid in pids:
            wait_for(lambda pid=pid: self.limit(pid), what="the limit to be set")

    def use_up(self, folder, pids=()):
        self.used_up = True
        self.apply(pids)

    def free(self, pids=()):
        self.used_up = False
        self.apply(pids)

    def prepare(self):
        """In a process that is just being started."""
        if self.used_up:
            resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))


class Quota:
    """Nothing can be written into a folder."""
    error = "Disk quota exceeded"
    what_to_do = "free room in the quota of the file's owner, or have it raised"

    def __init__(self, folder):
        self.path = folder / "quota"
        self.path.touch(0o644)
        self.environment = preloaded("quota", CLICKSTREAM_TEST_QUOTA=str(self.path))

    def use_up(self, folder, pids=()):
        self.path.write_text(f"{folder}/")

    def free(self, pids=()):
        self.path.write_text("")

    def prepare(self):
        pass


@pytest.fixture(params=[FileSize, Quota], ids=["limit", "quota"])
def room(request):
    folder = public_folder()
    yield request.param(folder)
    with contextlib.suppress(FileNotFoundError):
        (folder / "quota").unlink()
    folder.rmdir()


def pids_of(server):
    """All but those that a request starts."""
    return [server.process.pid, *server.children()]


def wait_for_log(text, *words):
    wait_for(lambda: any(all(word in line for word in words) for line in text().splitlines()), what=f"a line with {words}")


def wait_until_taken(post, number):
    wait_for(lambda: post(event(number)).status == 200, what="an event to be taken")


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_no_room_for_a_queue(fake, keys, room, mpm):
    """The file is removed while it runs, and there is no room for the next one."""
    with Httpd(firehose_stream(fake, "queue=1M linger=20ms"), mpm=mpm, environment={**keys, **room.environment}) as server:
        server.expected_errors = ["was removed or replaced while it was in use", "cannot be opened", "clients get 500"]
        wait_until_taken(server.post, 1)
        wait_for(lambda: lines_of(fake) == [record(1)], what="the event")
        children = server.children()
        room.use_up(server.queues, pids_of(server))
        (server.queues / "clicks.queue").unlink()
        wait_for(lambda: server.post(event(2)).status == 500, what="the refusal")
        answer = server.post(event(3))
        assert (answer.status, answer.text) == NO_DATA
        wait_for_log(server.log, "stream clicks: queue", "cannot be opened", room.what_to_do)
        room.free(pids_of(server))
        wait_until_taken(server.post, 4)
        wait_for(lambda: record(4) in lines_of(fake), what="the event after it")
        assert record(3) not in lines_of(fake)
        assert set(children) <= set(server.children()), "a child died"


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_no_room_for_objects(room, mpm):
    with Httpd(FILE_STREAM, mpm=mpm, environment=room.environment) as server:
        server.expected_errors = ["delivery has failed"]
        wait_until_taken(server.post, 1)
        wait_for(lambda: server.delivered_lines() == [record(1)], what="the first event")
        children = server.children()
        room.use_up(server.root / "objects", pids_of(server))
        assert server.post(LONG).status == 200  # the queue has its room since it was made
        wait_for_log(server.log, "delivery has failed", ".clicks.partial", room.what_to_do, room.error)
        assert server.post(event(2)).status == 200
        assert server.delivered_lines() == [record(1)]
        room.free(pids_of(server))
        wait_for(lambda: len(server.delivered_lines()) == 3, what="what waited")
        assert sorted(server.delivered_lines()) == sorted([record(1), record(2), f"{LONG[:-1]},{ADDED}}}"])
        wait_for_log(server.log, "delivers again")
        assert set(children) <= set(server.children()), "a child died"


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_no_room_for_what_is_rejected(fake, keys, room, mpm):
    """The event waits; all others are delivered. Nothing of a line stays where the line has no room."""
    fake.faults([{"kind": "invalid", "matching": '"number":7,'}])
    with Httpd(firehose_stream(fake, "queue=1M linger=20ms"), mpm=mpm, environment={**keys, **room.environment}) as server:
        server.expected_errors = ["delivery has failed", "will never take an event"]
        wait_until_taken(server.post, 1)
        wait_for(lambda: lines_of(fake) == [record(1)], what="the first event")
        children = server.children()
        path = server.queues / "clicks.rejected"
        room.use_up(server.queues, pids_of(server))
        assert server.post(LONG).status == 200
        wait_for_log(server.log, "delivery has failed", f"{path}: {room.error}", room.what_to_do)
        assert server.post(event(2)).status == 200
        wait_for(lambda: record(2) in lines_of(fake), 60, "the event behind it")
        assert path.read_bytes() == b""
        room.free(pids_of(server))
        wait_for(lambda: path.read_text().count("\n") == 1, 60, "what is rejected")
        line, = map(json.loads, path.read_text().splitlines())
        assert json.loads(line["record"])["long"] == "x" * 40000
        assert sorted(lines_of(fake)) == sorted([record(1), record(2)])
        assert set(children) <= set(server.children()), "a child died"


def test_no_room_for_the_queue_of_a_cgi(fake, keys):
    """Under httpd, whose limit is that of all that it starts."""
    with Site(fake, keys) as site:
        site.expected_errors = ["cannot be opened"]
        limit = FileSize(site.root)
        limit.use_up(site.queue, pids_of(site))
        answer = site.collect(event(1))
        assert (answer.status, answer.text) == NO_DATA
        wait_for_log(lambda: site.log() + site.console(), "cannot be opened", limit.what_to_do, limit.error)
        assert not (site.queue / "clicks.queue").exists()
        limit.free(pids_of(site))
        assert site.collect(event(2)).status == 200
        wait_for(lambda: lines_of(fake) == [record(2)], what="the event")


def call_cgi(folder, conf, room, number):
    """The program by itself, as another server may start it, which ignores no signals."""
    text = event(number).encode()
    environment = {"CLICKSTREAM_CONFIG": str(conf), "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST",
                   "CONTENT_LENGTH": str(len(text)), "CONTENT_TYPE": "application/json", "REMOTE_ADDR": "127.0.0.1",
                   "HTTP_CLIENT_ID": HEADERS["client_id"], "HTTP_AUTHORIZATION": HEADERS["Authorization"],
                   **room.environment}
    done = subprocess.run([BUILD / "cgi/clickstream.cgi"], input=text, env=environment, capture_output=True, timeout=60,
                          check=False, preexec_fn=room.prepare, cwd=folder)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def folder():
    made = public_folder()
    (made / "queues").mkdir(mode=0o700)
    yield made
    subprocess.run(["rm", "-r", made], check=True)


def test_no_room_for_a_cgi_by_itself(folder, room):
    conf = write_conf(folder, f"ClickstreamStream clicks file path={folder}/objects queue=1M interval=10ms linger=10ms")
    room.use_up(folder / "queues")
    code, answer, complaint = call_cgi(folder, conf, room, 1)
    assert code == 0 and answer.startswith("Status: 500\r\n") and answer.endswith(NO_DATA[1])
    assert room.error in complaint and room.what_to_do in complaint
    assert not (folder / "queues/clicks.queue").exists()
    room.free()
    code, answer, complaint = call_cgi(folder, conf, room, 2)
    assert (code, complaint) == (0, "") and answer.startswith("Status: 200\r\n")
    wait_for(lambda: status(conf)["clicks"]["delivered"] == 1, what="the event")


def test_no_room_for_clickstreamctl(folder, room):
    """What it cannot make, deliver or say, it says; nothing is lost and nothing is doubled."""
    def run(*words, **more):
        return ctl(*words, conf=conf, environment=room.environment, preexec_fn=room.prepare, **more)

    conf = write_conf(folder, f"ClickstreamStream clicks file path={folder}/objects queue=1M interval=1h linger=1h")
    saved = save(folder / "clicks.rejected", range(300))
    room.use_up(folder / "queues")
    code, output, complaints = run("requeue", saved)
    assert (code, output) == (69, "")
    assert room.error in complaints and room.what_to_do in complaints
    assert saved.exists()
    room.free()
    assert run("requeue", saved)[0] == 0
    room.use_up(folder / "objects")
    code, output, complaints = run("send", "-t", "1s")
    assert (code, output) == (75, "")
    assert f"300 events still wait: {folder}/objects/.clicks.partial: {room.error}; {room.what_to_do}" in complaints
    room.free()
    assert run("send")[0] == 0
    lines = [line for path in (folder / "objects").rglob("clicks-1-*") for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(map(record, range(300)))


def test_no_room_for_what_clickstreamctl_says(folder):
    conf = write_conf(folder, f"ClickstreamStream clicks file path={folder}/objects queue=1M")
    limit, out = FileSize(folder), folder / "out"
    out.write_bytes(b"x" * LIMIT)
    limit.use_up(folder)
    with open(out, "ab") as file:
        code, _, complaints = ctl("status", conf=conf, preexec_fn=limit.prepare, stdout=file)
    assert (code, complaints) == (74, "clickstreamctl: the output cannot be written\n")
    assert out.stat().st_size == LIMIT
