"""Processes are killed under load, again and again: nothing that was answered 200 is lost, nothing that was refused is
delivered, and what comes twice was under way at a kill. `make check-crash`; CRASHES=N kills N times in each test."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import pathlib
import random
import signal
import time

import pytest
from load import Load, lines_of
from server import MPMS, Httpd, firehose_stream, is_running, wait_for
from test_cgi import Site
from test_load import sender_pid

CRASHES = int(os.environ.get("CRASHES", "50"))
CGI = "CGI"
DOORS = [*MPMS, CGI]
VICTIMS = ["child", "sender", "parent", "everything", "Firehose"]
# What httpd says of the dead, and of their sockets; what the CGI's programs say of a death beside them.
OF_THE_DEAD = ["exit signal Killed", "delivery has failed", "AH01215", "AH02550", "AH01223", "AH02651", "AH00484",
               "Premature end of script headers", "End of script output before headers", "clickstream: ", "AH01239",
               "AH01257", "AH00052", "AH01252", "AH01254", "daemon process died", "AH10500", "AH02833", "AH00045",
               "AH10245", "AH10246", "AH01258", "AH01261", "clients get 503",
               "AH00046"]  # a worker that waits for the rest of a body is not asked twice


@contextlib.contextmanager
def collector(door, fake, keys, options="queue=16M linger=20ms"):
    made = Site(fake, keys, options="queue=16M") if door == CGI else \
        Httpd(firehose_stream(fake, options), mpm=door, environment=keys)
    made.expected_errors += OF_THE_DEAD
    with made:
        yield made


# --- who is killed ---


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def programs(server, door):
    return server.processes() if door == CGI else []


def a_child(server, door, fake, rng):
    """One that is at work on requests. The CGI's live for milliseconds: one that is just there."""
    pids = wait_for(lambda: server.processes(server.program), 20, "a program") if door == CGI else server.children()
    kill(rng.choice(pids))


def the_sender(server, door, fake, rng):
    kill(wait_for(lambda: (server.processes(server.sender) or [None])[0] if door == CGI else sender_pid(server, fake),
                  20, "a sender"))


def descendants(server, door):
    """All there are: the parent is stopped first, and begins no child that would outlive it with its sockets."""
    parent = server.process.pid
    os.kill(parent, signal.SIGSTOP)
    wait_for(lambda: pathlib.Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[0] == "T", what="its stop")
    return [*server.children(), *programs(server, door)]


def the_parent(server, door, fake, rng):
    """Its children go on without it, until whoever starts another one ends them."""
    orphans = descendants(server, door)
    kill(server.process.pid)
    server.process.wait()
    time.sleep(rng.random() * 0.1)
    for pid in [*orphans, *programs(server, door)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, rng.choice([signal.SIGTERM, signal.SIGKILL]))
    end = time.monotonic() + 0.5
    while any(map(is_running, orphans)):
        if time.monotonic() > end:
            for pid in orphans:
                kill(pid)
        time.sleep(0.01)
    server.start()


def everything(server, door, fake, rng):
    pids = [server.process.pid, *descendants(server, door)]
    for pid in pids:
        kill(pid)
    server.process.wait()
    wait_for(lambda: not any(map(is_running, pids)), what="everybody's end")
    server.start()


def the_firehose(server, door, fake, rng):
    fake.kill()
    time.sleep(rng.random() * 0.1)
    fake.start()


KILL = dict(zip(VICTIMS, [a_child, the_sender, the_parent, everything, the_firehose]))


# --- what came of it ---

# Records around a kill: what was under way (four requests of up to 40 records of 100 KiB), and what was taken while we
# looked.
AROUND = 4 * 40 + 40


def taken(fake):
    """How many records there are, over all of its lives."""
    return (fake.directory / "records.jsonl").read_bytes().count(b"\n")


def unexplained(fake, marks):
    """Events that came twice, whose first copy was not near a kill."""
    first, found = {}, []
    for index, record in enumerate(fake.records()):
        for line in record.decode().splitlines():
            if line not in first:
                first[line] = index
            elif not any(abs(first[line] - mark) <= AROUND for mark in marks):
                found.append(line)
    return found


def deliver_all(server, door, fake, ledger):
    with contextlib.suppress(TimeoutError):
        if door == CGI:
            wait_for(lambda: not server.processes(), 30, "the last delivery's end")
            assert server.ctl("send").returncode == 0
        wait_for(lambda: ledger.all_there(lines_of(fake)), 60, "the events to be delivered")


def check(what, door, server, fake, load, marks, figures):
    ledger = load.ledger
    deliver_all(server, door, fake, ledger)
    if door == CGI:
        ledger.refused.clear()  # 500 is httpd's word for a program that was killed, perhaps after its append
    duplicates = ledger.check(lines_of(fake), duplicates_allowed=True)
    figures.append(f"crash: {what}, {door}: {len(marks)} times; {len(ledger.promised)} events answered 200, all "
                   f"delivered; {ledger.broken} requests broken off, {duplicates} events twice")
    assert unexplained(fake, marks) == []


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_9(fake, keys, figures, victim, door):
    rng = random.Random(f"{victim}{door}")
    marks = []
    with collector(door, fake, keys) as server:
        with Load(server.port, total=10**9, largest=20, pause=0.002) as load:
            for _ in range(CRASHES):
                before = load.progress()
                wait_for(lambda before=before: load.progress() > before + 20, 60, "progress under load")
                time.sleep(rng.random() * 0.05)
                marks.append(taken(fake))
                KILL[victim](server, door, fake, rng)
        check(f"kill -9 of {victim}", door, server, fake, load, marks, figures)


# --- restarts and reloads ---


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("how", ["graceful", "hard"])
def test_restarts(fake, keys, figures, door, how):
    """A graceful one breaks no request off; a hard one loses nothing that was answered."""
    marks = []
    with collector(door, fake, keys) as server:
        with Load(server.port, total=10**9, largest=20, pause=0.002) as load:
            for _ in range(CRASHES):
                before, restarts = load.progress(), server.log().count("resuming normal operations")
                marks.append(taken(fake))
                server.process.send_signal(signal.SIGUSR1 if how == "graceful" else signal.SIGHUP)
                wait_for(lambda restarts=restarts: server.log().count("resuming normal operations") > restarts, 30,
                         "the restart")
                wait_for(lambda before=before: load.progress() > before + 20, 60, "progress under load")
        if how == "graceful" and door != CGI:
            assert set(load.ledger.statuses) == {200}
        check(f"{how} restart", door, server, fake, load, marks, figures)


def reloads(fake):
    """Configurations that follow each other: more streams, fewer, another size and ack, another to deliver to."""
    def stream(name, options="queue=4M linger=20ms"):
        return firehose_stream(fake, options, name)
    return [
        (stream("clicks"), "ClickstreamDeliverTo clicks"),
        (stream("clicks") + "\n" + stream("more"), "ClickstreamDeliverTo clicks"),
        (stream("more") + "\n" + stream("clicks", "queue=8M linger=1ms"), "ClickstreamDeliverTo more"),
        (stream("more", "queue=2M linger=20ms ack=synced"), "ClickstreamDeliverTo more"),  # clicks is removed
        (stream("clicks", "queue=4M linger=20ms concurrency=1") + "\n" + stream("third"), "ClickstreamDeliverTo third"),
    ]


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("sign", [signal.SIGUSR1, signal.SIGHUP], ids=["graceful", "hard"])
def test_reload_with_other_streams(fake, keys, figures, mpm, sign):
    configurations = reloads(fake)
    fake.set_streams(("clicks", "more", "third"))
    marks = []
    with Httpd(*configurations[0], mpm=mpm, environment=keys) as server:
        server.expected_errors += [*OF_THE_DEAD, "keeps its", "belongs to no ClickstreamStream"]
        with Load(server.port, total=10**9, largest=20, pause=0.004) as load:
            for turn in range(1, CRASHES + 1):
                before, restarts = load.progress(), server.log().count("resuming normal operations")
                server.configure(*configurations[turn % len(configurations)])
                marks.append(taken(fake))
                server.process.send_signal(sign)
                wait_for(lambda restarts=restarts: server.log().count("resuming normal operations") > restarts, 30,
                         "the restart")
                wait_for(lambda before=before: load.progress() > before + 20, 60, "progress under load")
        # What a removed stream still had waits for it to be there again.
        server.configure("\n".join(firehose_stream(fake, "linger=20ms", name) for name in ("clicks", "more", "third")),
                         "ClickstreamDeliverTo clicks")
        server.process.send_signal(sign)
        assert set(load.ledger.statuses) <= ({200} if sign == signal.SIGUSR1 else {200, 0})
        check(f"reload with other streams, {sign.name}", mpm, server, fake, load, marks, figures)
