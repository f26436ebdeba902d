"""Nothing is lost: 20,000 events by 8 clients under each MPM, with failures, kills and restarts."""
# SPDX-License-Identifier: Apache-2.0

import os
import random
import signal
import threading

import pytest
from load import Load, lines_of
from server import MPMS, Httpd, firehose_stream, wait_for

EVENTS = 20000


def wait_until_delivered(fake, ledger, seconds=60):
    """Until every promised event is there; what is missing then, the ledger's check names."""
    def all_there():
        return fake.stats()["events_taken"] >= len(ledger.promised) and ledger.all_there(lines_of(fake))

    try:
        wait_for(all_there, seconds, "the events to be delivered")
    except TimeoutError:
        pass


def report(what, mpm, ledger, fake, duplicates):
    stats = fake.stats()
    print(f"\n{what}, {mpm}: {len(ledger.sent)} events sent, {len(ledger.promised)} answered 200, answers "
          f"{ledger.statuses}, delivered in {stats['requests']} requests {stats['by_result']}, "
          f"{stats['records_taken']} records, {stats['records_failed']} records failed on purpose, "
          f"{duplicates} duplicates, billed/sent bytes {stats['billed_bytes'] / max(stats['bytes_taken'], 1):.2f}")


@pytest.mark.parametrize("mpm", MPMS)
def test_all_arrive_once_while_nothing_fails(fake, keys, mpm):
    with Httpd(firehose_stream(fake), mpm=mpm, environment=keys) as httpd:
        with Load(httpd.port, total=EVENTS) as load:
            load.join()
        wait_until_delivered(fake, load.ledger)
        assert len(load.ledger.promised) == EVENTS
        assert set(load.ledger.statuses) == {200}
        duplicates = load.ledger.check(lines_of(fake))
        stats = fake.stats()
        assert set(stats["by_result"]) == {"ok"}
        assert stats["connections"] <= 8  # kept alive; one sender, four at once
        report("nothing fails", mpm, load.ledger, fake, duplicates)


@pytest.mark.parametrize("mpm", MPMS)
def test_only_what_failed_is_sent_again(fake, keys, mpm):
    fake.faults([{"kind": "throttle", "rate": 0.2}, {"kind": "fail_records", "rate": 0.2}])
    with Httpd(firehose_stream(fake), mpm=mpm, environment=keys) as httpd:
        httpd.expected_errors = ["delivery has failed"]
        with Load(httpd.port, total=EVENTS) as load:
            load.join()
        wait_until_delivered(fake, load.ledger)
        assert len(load.ledger.promised) == EVENTS
        load.ledger.check(lines_of(fake))
        stats = fake.stats()
        assert stats["by_result"].get("throttle", 0) > 0 and stats["records_failed"] > 0
        assert fake.duplicates() == []  # no record that was taken was sent again
        assert stats["failed_then"]["missing"] == 0  # and each that failed was, as it was
        report("20% of records and requests fail", mpm, load.ledger, fake, 0)


def sockets_of(pid):
    """The inodes of a process's sockets."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            name = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if name.startswith("socket:["):
            found.add(name[8:-1])
    return found


def connections_to(port):
    """The inodes of established TCP connections to a port of this machine."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return {row[9] for row in rows if row[3] == "01" and int(row[2].split(":")[1], 16) == port}


def sender_pid(httpd, fake):
    """The child that has a connection to the fake: there is one sender."""
    inodes = connections_to(fake.port)
    for pid in httpd.children():
        try:
            if sockets_of(pid) & inodes:
                return pid
        except OSError:
            continue
    return None


KILLS = 6


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("victim", ["child", "sender", "all"])
def test_kill_9_loses_nothing_that_was_answered(fake, keys, mpm, victim):
    rng = random.Random(7)
    with Httpd(firehose_stream(fake), mpm=mpm, environment=keys) as httpd:
        httpd.expected_errors = ["exit signal Killed"]
        with Load(httpd.port, total=EVENTS, pause=0.002) as load:
            for kill in range(KILLS):
                goal = (kill + 1) * EVENTS // (KILLS + 2)
                wait_for(lambda goal=goal: load.progress() >= goal, 60, "progress under load")
                if victim == "all":
                    httpd.kill_all()
                    httpd.start()
                    continue
                if victim == "sender":
                    pid = wait_for(lambda: sender_pid(httpd, fake), what="a sender")
                else:
                    pid = rng.choice(httpd.children())
                os.kill(pid, signal.SIGKILL)
            load.join()
        wait_until_delivered(fake, load.ledger)
        assert len(load.ledger.promised) > EVENTS // 2
        duplicates = load.ledger.check(lines_of(fake), duplicates_allowed=True)
        # Only what was under way at a kill comes twice: at most four batches each time.
        assert duplicates < KILLS * 4 * 9000
        report(f"{KILLS} times kill -9 of {victim}", mpm, load.ledger, fake, duplicates)


RESTART_EVERY = 1.0


@pytest.mark.parametrize("mpm", MPMS)
def test_graceful_restarts_refuse_and_lose_nothing(fake, keys, mpm):
    with Httpd(firehose_stream(fake), mpm=mpm, environment=keys) as httpd:
        with Load(httpd.port, total=EVENTS, pause=0.02) as load:
            restarts = 0
            done = threading.Thread(target=load.join)
            done.start()
            while done.is_alive():
                httpd.graceful()
                restarts += 1
                done.join(RESTART_EVERY)
        wait_until_delivered(fake, load.ledger)
        assert restarts >= 4
        assert set(load.ledger.statuses) == {200}
        assert len(load.ledger.promised) == EVENTS
        duplicates = load.ledger.check(lines_of(fake))
        report(f"{restarts} graceful restarts", mpm, load.ledger, fake, duplicates)
