"""What happens to a queue's file while httpd uses it: removed, renamed, replaced, cut, overwritten, its folder gone or
closed, its disk read-only. Requests go on meanwhile; nobody dies; what was answered 200 is delivered, or, where its
bytes were destroyed, its loss is told; and it works again when it is mended."""
# SPDX-License-Identifier: Apache-2.0

import fcntl
import os
import shutil
import subprocess
import time

import pytest
from load import Load, event, lines_of, record
from server import FILE_STREAM, Httpd, firehose_stream, give_to_user, public_folder, wait_for

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has disks to mount, and rights to take")
WAITING = 400  # events in the queue when it happens
PATH = "clicks.queue"


def queue_of(server):
    return server.queues / PATH


@pytest.fixture(params=["event", "prefork"])
def server(request, fake, keys):
    with Httpd(firehose_stream(fake, "queue=4M linger=20ms"), mpm=request.param, environment=keys) as running:
        running.expected_errors += ["delivery has failed"]
        yield running


def remove(server):
    queue_of(server).unlink()


def rename(server):
    queue_of(server).rename(server.queues / "mine")


def replace_by_copy(server):
    """As a restored backup is put in place."""
    copy = server.queues / "copy"
    shutil.copy(queue_of(server), copy)
    give_to_user(copy)
    os.truncate(copy, 65536)
    os.truncate(copy, queue_of(server).stat().st_size)  # the locks and counts of now, and nothing in it
    copy.rename(queue_of(server))


def replace_by_rubbish(server):
    rubbish = server.queues / "rubbish"
    rubbish.write_bytes(b"rubbish" * 1000)
    give_to_user(rubbish)
    rubbish.rename(queue_of(server))


def cut_to_nothing(server):
    os.truncate(queue_of(server), 0)


def cut_in_half(server):
    os.truncate(queue_of(server), 1 << 20)


def cut_in_the_first_events(server):
    os.truncate(queue_of(server), 65536 + 10_000)


def write_over(server):
    with open(queue_of(server), "r+b") as file:
        file.write(b"\x77" * (1 << 20))


KEEPS = {"removed": remove, "renamed": rename}
LEFT_WITHOUT = {"replaced by rubbish": replace_by_rubbish}
LOSES = {"cut to nothing": cut_to_nothing, "cut in half": cut_in_half,
         "cut in the first events": cut_in_the_first_events, "written over": write_over,
         "replaced by a backup": replace_by_copy}
REMOVED = "was removed or replaced while it was in use"
OURS = [REMOVED, "was cut or overwritten while it was in use", "was overwritten while it was in use",
        "is no queue of this version, or damaged", "its queue cannot be used, clients get 500", "cannot be opened",
        "cannot be locked", "were not on the disk after a loss of power"]


def fill(server, numbers):
    """Posts each until it is taken: a child may be a moment behind the others."""
    for number in numbers:
        wait_for(lambda number=number: server.post(event(number)).status == 200, 5, "an event to be taken")


def delivered(fake, wanted, seconds=30):
    wanted = set(map(record, wanted))
    try:
        wait_for(lambda: wanted <= set(lines_of(fake)), seconds, "the events to be delivered")
    except TimeoutError:
        pass
    return wanted - set(lines_of(fake))


def answers_until_good(server, first, seconds=20, refusals=(500,)):
    """Posts until one is answered 200 again, three times in a row; the numbers that were answered 200."""
    good, end, number = [], time.monotonic() + seconds, first
    while len(good) < 3 or good[-3:] != [number - 3, number - 2, number - 1]:
        assert time.monotonic() < end, f"it does not recover: {server.log()[-2000:]}"
        response = server.post(event(number))
        assert response.status in (200, *refusals), response.text
        if response.status == 200:
            good.append(number)
        else:
            time.sleep(0.05)
        number += 1
    return good


@pytest.mark.parametrize("happens", [*KEEPS.values(), *LEFT_WITHOUT.values()], ids=[*KEEPS, *LEFT_WITHOUT])
def test_what_waits_goes_to_the_new_file(server, fake, happens):
    """While Firehose is away, so that all of it waits; and once more, with the new file."""
    server.expected_errors += OURS
    children = server.children()
    fake.kill()
    numbers = []
    for again in range(2):
        fill(server, range(again * 1000, again * 1000 + WAITING))
        happens(server)
        good = answers_until_good(server, again * 1000 + WAITING)
        numbers += [*range(again * 1000, again * 1000 + WAITING), *good]
        wait_for(lambda again=again: server.log().count(REMOVED) == again + 1, what="the line about it")
    (server.queues / "mine").unlink(missing_ok=True)
    fake.start()
    assert delivered(fake, numbers) == set()
    assert len(lines_of(fake)) == len(set(lines_of(fake)))
    assert set(children) <= set(server.children()), "a child died"
    assert queue_of(server).read_bytes().startswith(b"CSQUEUE\n")


@pytest.mark.parametrize("happens", [*KEEPS.values(), *LEFT_WITHOUT.values(), *LOSES.values()],
                         ids=[*KEEPS, *LEFT_WITHOUT, *LOSES])
def test_under_load(server, fake, happens):
    """Three times under load. Nobody dies, all is answered, and in the end it collects and delivers as before."""
    server.expected_errors += OURS
    children = server.children()
    with Load(server.port, total=100_000, largest=20, pause=0.005) as load:
        for _ in range(3):
            goal = load.progress() + 300
            wait_for(lambda goal=goal: load.progress() >= goal, 60, "progress under load")
            wait_for(queue_of(server).exists, what="the queue of now")
            happens(server)
            shutil.rmtree(server.queues / "mine", ignore_errors=True)
            goal = load.progress() + 300
            wait_for(lambda goal=goal: load.progress() >= goal, 60, "progress again")
    last = answers_until_good(server, 200_000)
    assert set(load.ledger.statuses) <= {200, 500}
    assert delivered(fake, last) == set()
    if happens in KEEPS.values() or happens in LEFT_WITHOUT.values():
        assert delivered(fake, load.ledger.promised) == set()
    counts = set(lines_of(fake))
    assert counts <= set(map(record, [*load.ledger.sent, *last])), "something was delivered that nobody sent"
    assert set(children) <= set(server.children()), "a child died"


def test_put_back(server, fake):
    fake.kill()
    fill(server, range(10))
    rename(server)
    (server.queues / "mine").rename(queue_of(server))
    fill(server, range(10, 20))
    server.expected_errors += OURS  # where somebody looked just then
    fake.start()
    assert delivered(fake, range(20)) == set()


def test_put_back_later(server, fake):
    """When all have gone over to a new one, which has collected more."""
    server.expected_errors += OURS
    fake.kill()
    numbers = []
    for again in range(2):
        first = again * 1000
        fill(server, range(first, first + 20))
        rename(server)
        good = answers_until_good(server, first + 100)
        wait_for(lambda again=again: server.log().count(REMOVED) == 2 * again + 1, what="the line about it")
        fill(server, range(first + 500, first + 550))
        (server.queues / "mine").rename(queue_of(server))
        more = answers_until_good(server, first + 600)
        wait_for(lambda again=again: server.log().count(REMOVED) == 2 * again + 2, what="the line about it")
        numbers += [*range(first, first + 20), *good, *range(first + 500, first + 550), *more]
    fake.start()
    assert delivered(fake, numbers) == set()
    assert len(lines_of(fake)) == len(set(lines_of(fake)))


def test_a_new_one_without_room_for_all(server, fake):
    """queue= is less now, which is for the next file; and that one has to be made before this one is empty. A child that
    begins after that has the new one only, which is full."""
    server.expected_errors += [*OURS, "what waits in it does not fit into", "its queue is full"]
    fake.kill()
    many = range(8000)
    for first in many[::400]:
        assert server.post(f"[{','.join(map(event, many[first:first + 400]))}]").status == 200
    before = set(server.children())
    server.configure(firehose_stream(fake, "queue=1M linger=20ms"))
    server.graceful()
    wait_for(lambda: server.children() and not before & set(server.children()), what="the new children")
    fill(server, range(8000, 8005))
    remove(server)
    wait_for(lambda: "cannot be put there yet: do not restart httpd" in server.log(), what="the line about it")
    assert server.post(event(8005)).status in (500, 503)
    fake.start()
    assert delivered(fake, range(8005)) == set()
    good = answers_until_good(server, 8006, refusals=(500, 503))
    assert delivered(fake, good) == set()
    assert len(lines_of(fake)) == len(set(lines_of(fake)))


def test_the_folder_is_removed(server, fake):
    """Nothing is taken that a restart would lose; what waits is delivered all the same; and it goes on when there is a
    folder again."""
    server.expected_errors += OURS
    fake.kill()
    fill(server, range(50))
    shutil.rmtree(server.queues)
    wait_for(lambda: server.post(event(100)).status == 500, what="the refusal")
    assert "make the folder" in server.log()
    fake.start()
    assert delivered(fake, range(50)) == set()
    assert server.post(event(101)).status == 500
    server.queues.mkdir(mode=0o700)
    give_to_user(server.queues)
    good = answers_until_good(server, 200)
    assert delivered(fake, good) == set()


@AS_ROOT
def test_no_right_to_make_a_new_one(server, fake):
    """The file is removed, and httpd's user may make no other."""
    server.expected_errors += OURS
    fake.kill()
    fill(server, range(50))
    os.chown(server.queues, 0, 0)
    server.queues.chmod(0o755)
    remove(server)
    wait_for(lambda: server.post(event(100)).status == 500, what="the refusal")
    wait_for(lambda: "let httpd's user read and write it, and its folder" in server.log(), what="the line about it")
    give_to_user(server.queues)
    good = answers_until_good(server, 200)
    fake.start()
    assert delivered(fake, [*range(50), *good]) == set()


def answers_for_the_site(server):
    return server.request("GET", "/").status


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_the_site_waits_for_no_lock(fake, keys, mpm):
    """Somebody has the file locked when httpd starts. Its stream's clients are told so; all else is served."""
    with Httpd(firehose_stream(fake, "queue=4M linger=20ms"), mpm=mpm, environment=keys) as server:
        server.expected_errors += ["delivery has failed", "its queue is not open yet, clients get 500"]
        fake.kill()
        fill(server, range(10))
        server.stop()
        with open(queue_of(server), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            server.start()
            begun = time.monotonic()
            for _ in range(20):
                assert answers_for_the_site(server) in (403, 404)
                assert server.post(event(100)).status == 500
            assert time.monotonic() - begun < 20, "each request waited"
            assert "or another process has it locked" in server.log()
        good = answers_until_good(server, 200)
        fake.start()
        assert delivered(fake, [*range(10), *good]) == set()


@pytest.mark.parametrize("locked, method, body, status", [("clicks", "OPTIONS", None, 204),
                                                          ("refused", "POST", event(1), 200)],
                         ids=["a preflight", "without refused events"])
def test_no_request_waits_for_a_queue_that_it_does_not_need(locked, method, body, status):
    """In the first seconds of a child, while somebody has that queue locked."""
    streams = "".join(FILE_STREAM.replace(" clicks ", f" {name} ") + "\n" for name in ("clicks", "refused"))
    with Httpd(streams, "ClickstreamDeliverTo clicks\nClickstreamRejectTo refused") as server:
        server.expected_errors += ["its queue is not open yet, clients get 500", "or another process has it locked"]
        assert server.post("[1," + event(1) + "]").status == 200
        server.stop()
        with open(server.queues / f"{locked}.queue", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            server.start()
            begun = time.monotonic()
            assert server.request(method, body=body).status == status
            assert time.monotonic() - begun < 2


def test_the_site_does_not_wait_while_a_queue_is_made(fake, keys):
    server = Httpd(firehose_stream(fake, "queue=1G"), environment=keys)
    try:
        server.launch()
        wait_for(lambda: serves(server), what="the first answer")
        assert not queue_of(server).exists() or queue_of(server).stat().st_size < 1 << 30, "it was made first"
    finally:
        server.stop()
        shutil.rmtree(server.root, ignore_errors=True)


def serves(server):
    try:
        return answers_for_the_site(server)
    except OSError:
        return None


def test_the_first_requests_find_a_queue(fake, keys):
    """Of a new queue, of one that is there again, and after a graceful restart."""
    with Httpd(firehose_stream(fake, "queue=4M linger=20ms"), environment=keys) as server:
        assert server.post(event(0)).status == 200
        server.stop()
        server.start()
        assert server.post(event(1)).status == 200
        for number in range(2, 200):
            if number % 50 == 0:
                server.graceful()
            assert server.post(event(number)).status == 200
        assert delivered(fake, range(200)) == set()


@pytest.fixture
def disk():
    """A file system of its own, on a file, so that it can be made read-only while it is in use."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    folder = public_folder()
    image = folder / "image"
    mounted = folder / "mounted"
    mounted.mkdir()
    image.write_bytes(b"")
    os.truncate(image, 32 << 20)
    made = [["mkfs.ext4", "-q", "-F", str(image)], ["mount", "-o", "loop", str(image), str(mounted)]]
    for command in made:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip(f"{command[0]} is not there")
        if done.returncode != 0:
            shutil.rmtree(folder)
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    give_to_user(mounted)
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)
    shutil.rmtree(folder)


def remount(disk, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True, capture_output=True)


@AS_ROOT
def test_a_disk_that_is_full_or_read_only_while_it_runs(disk, fake, keys):
    """The queue has its room since it was made; objects in a folder on a full disk wait in it."""
    directives = f'ClickstreamQueueDir "{disk}/queues"\n' + firehose_stream(fake, "queue=4M linger=20ms ack=synced")
    with Httpd(directives, environment=keys) as server:
        server.expected_errors += [*OURS, "delivery has failed"]
        fill(server, range(20))
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                pass
        fill(server, range(20, 40))
        filler.unlink()
        assert delivered(fake, range(40)) == set()


@AS_ROOT
def test_a_queue_that_cannot_be_made_on_a_read_only_disk(disk, fake, keys):
    queues = disk / "queues"
    queues.mkdir(mode=0o700)
    give_to_user(queues)
    directives = f'ClickstreamQueueDir "{queues}"\n' + firehose_stream(fake, "queue=4M linger=20ms")
    remount(disk, "ro")
    server = Httpd(directives, environment=keys)
    try:
        server.launch()
        assert server.process.wait(timeout=60) != 0
        assert "cannot be written by httpd's user" in server.console() + server.log()
        remount(disk, "rw")
        server.start()
        fill(server, range(5))
        assert delivered(fake, range(5)) == set()
    finally:
        server.stop()
        shutil.rmtree(server.root, ignore_errors=True)
