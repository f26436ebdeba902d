"""What wrong configuration says, and what the server makes of its folders, disks and queue files at start."""
# SPDX-License-Identifier: Apache-2.0

import os
import pwd
import shutil
import stat
import subprocess

import pytest
from cases import EVENT, event, record, refusal
from server import FILE_STREAM, Httpd, firehose_stream, give_to_user, httpd_user, public_folder, wait_for

NO_DATA = (500, refusal(50001, "Failed to collect data."))
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take rights from httpd's user, or mount a disk")


@pytest.fixture
def server():
    """A server that is configured by its test, and not running."""
    made = Httpd(FILE_STREAM)
    yield made
    made.stop()
    shutil.rmtree(made.root)


# --- one wrong line ---

STREAM = "ClickstreamStream clicks "
FILE = STREAM + "file path=/tmp/x "
FIREHOSE = STREAM + "firehose region=us-east-1 "
NAME_FORM = "write a name of 1 to 64 letters, digits, '_', '-' and '.', then firehose or file, then its options"
ABSOLUTE = "is not an absolute path: write it from the root, such as /var/lib/clickstream"
SIZE_FORM = "write a number with K, M or G, such as 64M, from "
TIME_FORM = "write a number with ms, s, m, h or d, such as 5s, from "
ENDPOINT_FORM = "write https://HOST/ (http:// only for 127.0.0.1, localhost and [::1])"
FIREHOSE_OPTIONS = ("is no option of a firehose stream: write name=value, with one of queue, linger, delimiter, ack, "
                    "region, endpoint, profile, credentials, concurrency, aggregate, timeout, ca")
FILE_OPTIONS = ("is no option of a file stream: write name=value, with one of queue, linger, delimiter, ack, path, "
                "roll, interval")

# (line, the value that is named, what to write)
SERVER_LINES = [
    ("ClickstreamQueueDir", "", "an argument is missing"),
    ("ClickstreamQueueDir", "", "(ClickstreamQueueDir directory)"),
    # To httpd an empty first argument is the end of them.
    ('ClickstreamQueueDir ""', "", "an argument is missing"),
    ("ClickstreamQueueDir queues", '"queues"', ABSOLUTE),
    ("ClickstreamQueueDir /a /b", '"/b"', "is one argument too many"),
    ("ClickstreamStream", "", "an argument is missing"),
    ("ClickstreamStream clicks", "", NAME_FORM),
    ('ClickstreamStream "" file', "", NAME_FORM),
    ('ClickstreamStream "a b" file', "", NAME_FORM),
    ("ClickstreamStream a/b file", "", NAME_FORM),
    ("ClickstreamStream .hidden file", "", NAME_FORM),
    (f"ClickstreamStream {'x' * 65} file", "", NAME_FORM),
    (STREAM + "kafka", '"kafka"', "is no kind of stream: write firehose or file"),
    (STREAM + "file", "clicks", "has no folder: write path=/some/folder"),
    (STREAM + "file path=objects", 'path=: "objects"', ABSOLUTE),
    (STREAM + "file path=", "path=:", "an empty value is not possible here"),
    (STREAM + 'file path="/some/folder"', 'path="/some/folder":', 'put the quotes around it all: "path=/some/folder"'),
    (STREAM + 'file path="/some folder"', 'path="/some:', "put the quotes around it all"),
    (STREAM + "firehose", "stream clicks has no region", "write region=, such as region=eu-central-1"),
    (STREAM + "firehose region=", "region=:", "an empty value is not possible here"),
    (FILE + "queue=12", 'queue=: "12"', SIZE_FORM + "1M to 64G"),
    (FILE + "queue=64X", 'queue=: "64X"', SIZE_FORM + "1M to 64G"),
    (FILE + "queue=-1M", 'queue=: "-1M"', SIZE_FORM + "1M to 64G"),
    (FILE + "queue=1.5M", 'queue=: "1.5M"', SIZE_FORM + "1M to 64G"),
    (FILE + "queue=65G", 'queue=: "65G"', SIZE_FORM + "1M to 64G"),
    (FILE + "queue=99999999999999999999", 'queue=: "99999999999999999999"', SIZE_FORM + "1M to 64G"),
    (FILE + "queue=99999999999G", 'queue=: "99999999999G"', SIZE_FORM + "1M to 64G"),
    (FILE + "queue=M", 'queue=: "M"', SIZE_FORM + "1M to 64G"),
    (FILE + "linger=5", 'linger=: "5"', TIME_FORM + "0ms to 1h"),
    (FILE + "linger=61m", 'linger=: "61m"', TIME_FORM + "0ms to 1h"),
    (FILE + "delimiter=crlf", 'delimiter=: "crlf"', "is not one of newline|none"),
    (FILE + "ack=maybe", 'ack=: "maybe"', "is not one of queued|synced"),
    (FILE + "roll=0", 'roll=: "0"', SIZE_FORM + "1 to 5G"),
    (FILE + "interval=1ms", 'interval=: "1ms"', TIME_FORM + "10ms to 1d"),
    (FILE + "region=us-east-1", '"region=us-east-1"', FILE_OPTIONS),
    (FILE + "quee=64M", '"quee=64M"', FILE_OPTIONS),
    (FILE + "synced", '"synced"', FILE_OPTIONS),
    (FIREHOSE + "path=/tmp/x", '"path=/tmp/x"', FIREHOSE_OPTIONS),
    (FIREHOSE + "endpoint=http://firehose.us-east-1.amazonaws.com/",
     'endpoint=: "http://firehose.us-east-1.amazonaws.com/"', ENDPOINT_FORM),
    (FIREHOSE + "endpoint=http://localhost.evil.com/", 'endpoint=: "http://localhost.evil.com/"', ENDPOINT_FORM),
    (FIREHOSE + "endpoint=https://", 'endpoint=: "https://"', ENDPOINT_FORM),
    (FIREHOSE + "endpoint=firehose", 'endpoint=: "firehose"', ENDPOINT_FORM),
    (FIREHOSE + "concurrency=0", 'concurrency=: "0"', "write a whole number, from 1 to 64"),
    (FIREHOSE + "concurrency=65", 'concurrency=: "65"', "write a whole number, from 1 to 64"),
    (FIREHOSE + "concurrency=4K", 'concurrency=: "4K"', "write a whole number, from 1 to 64"),
    (FIREHOSE + "aggregate=yes", 'aggregate=: "yes"', "is not one of on|off"),
    (FIREHOSE + "timeout=999ms", 'timeout=: "999ms"', TIME_FORM + "1s to 10m"),
    (FIREHOSE + "credentials=.aws/credentials", 'credentials=: ".aws/credentials"', ABSOLUTE),
    (FIREHOSE + "ca=ca.pem", 'ca=: "ca.pem"', ABSOLUTE),
    (FIREHOSE + "\n" + FILE, "stream clicks already", "give this one another name"),
]
LOCATION_LINES = [
    ("ClickstreamDeliverTo", "", "an argument is missing"),
    ("ClickstreamDeliverTo a/b", '"a/b"', "is no stream's name: 1 to 64 letters, digits, '_', '-' and '.'"),
    ("ClickstreamDeliverTo clicks more", '"more"', "is one argument too many"),
    ("ClickstreamClient", "", "an argument is missing"),
    ("ClickstreamClient a b", '"b"', "is not possible here: write secret=file or key=file; one client a line"),
    ("ClickstreamAuth basic", '"basic"', "is not one of none|bearer|jwt"),
    ("ClickstreamAllowOrigin app.example.com", '"app.example.com"',
     "is no origin: write https://app.example.com, https://*.example.com or *"),
    ("ClickstreamAllowOrigin https://app.example.com/", '"https://app.example.com/"', "is no origin"),
    ("ClickstreamAllowOrigin https://a.com https://*", '"https://*"', "is no origin"),
    ("ClickstreamAllowOrigin https://*.a.*.com", '"https://*.a.*.com"', "is no origin"),
    ("ClickstreamAllowOrigin ://a.com", '"://a.com"', "is no origin"),
    ("ClickstreamMaxBody 0", '"0"', SIZE_FORM + "1 to 64M"),
    ("ClickstreamMaxBody 65M", '"65M"', SIZE_FORM + "1 to 64M"),
    ("ClickstreamMaxBody ten", '"ten"', SIZE_FORM + "1 to 64M"),
    ("ClickstreamMaxEvents 0", '"0"', "write a whole number, from 1 to 100000"),
    ("ClickstreamMaxEvents 5K", '"5K"', "write a whole number, from 1 to 100000"),
    ("ClickstreamMaxEvent 1", '"1"', SIZE_FORM + "2 to 1000K"),
    ("ClickstreamMaxEvent 1001K", '"1001K"', SIZE_FORM + "2 to 1000K"),
    ("ClickstreamMaxDepth 65", '"65"', "write a whole number, from 1 to 64"),
    ("ClickstreamRequire", "", "an argument is missing"),
]


def check_wrong(server, line, *texts):
    code, said = server.check()
    assert code != 0
    for text in (line.split()[0] + ":", *texts):
        assert text in said


@pytest.mark.parametrize("line, value, advice", SERVER_LINES, ids=[row[0][:60] for row in SERVER_LINES])
def test_wrong_line(server, line, value, advice):
    server.configure(line)
    check_wrong(server, line, value, advice)


@pytest.mark.parametrize("line, value, advice", LOCATION_LINES, ids=[row[0] for row in LOCATION_LINES])
def test_wrong_line_of_a_location(server, line, value, advice):
    server.configure(FILE_STREAM, line)
    check_wrong(server, line, value, advice)


# --- lines that do not fit together: (directives, location, what is said) ---

NO_SUCH = "there is no such stream: declare it with ClickstreamStream, or write one of "
TOGETHER = {
    "unknown stream": (FILE_STREAM, "ClickstreamDeliverTo cliks", "ClickstreamDeliverTo cliks: " + NO_SUCH + "clicks"),
    "unknown stream of several": (FILE_STREAM + "\nClickstreamStream more file path=/tmp/x",
                                  "ClickstreamDeliverTo Clicks",
                                  "ClickstreamDeliverTo Clicks: " + NO_SUCH + "clicks, more"),
    "unknown stream outside of sections": (FILE_STREAM + "\nClickstreamDeliverTo other", "",
                                           "ClickstreamDeliverTo other: " + NO_SUCH + "clicks"),
    "unknown stream in a virtual host": (
        FILE_STREAM + '\n<VirtualHost *:*>\n<Location "/a/">\nClickstreamDeliverTo other\n</Location>\n</VirtualHost>',
        "", "ClickstreamDeliverTo other: " + NO_SUCH + "clicks"),
    "handler without a stream": ("", "", "SetHandler clickstream: there is no stream to deliver to: write "
                                 "ClickstreamStream, such as ClickstreamStream clicks firehose region=us-east-1"),
    "stream without a folder": (
        f"# no ClickstreamQueueDir\n{FILE_STREAM}", "", "ClickstreamQueueDir is missing: write the folder for the "
        "queue of stream clicks, such as ClickstreamQueueDir /var/lib/clickstream"),
    "stream in a Location": (FILE_STREAM, FILE, "ClickstreamStream not allowed in <Location> context"),
    "folder in a Location": (FILE_STREAM, "ClickstreamQueueDir /tmp",
                             "ClickstreamQueueDir not allowed in <Location> context"),
    "option for a directive": (FILE_STREAM + "\nClickstreamLinger 1s", "", "Invalid command 'ClickstreamLinger'"),
}


@pytest.mark.parametrize("directives, location, sentence", TOGETHER.values(), ids=TOGETHER)
def test_lines_that_do_not_fit_together(server, directives, location, sentence):
    server.configure(directives, location)
    code, said = server.check()
    assert code != 0
    assert sentence in said


def test_the_place_of_the_line_is_named(server):
    server.configure(FILE_STREAM, "ClickstreamDeliverTo other")
    lines = (server.root / "httpd.conf").read_text().splitlines()
    number = lines.index("ClickstreamDeliverTo other") + 1
    assert f"{server.root}/httpd.conf, line {number}: ClickstreamDeliverTo other" in server.check()[1]


GOOD = {
    "a file stream, all options": (FILE + "queue=1m linger=0ms delimiter=none ack=synced roll=1 interval=10ms", ""),
    "largest values": (FILE + "queue=64G linger=1h roll=5G interval=1d", ""),
    "a firehose stream, all options": (
        FIREHOSE + "endpoint=https://localhost:1/ profile=p credentials=/a/b concurrency=64 aggregate=off "
        "timeout=10m ca=/a/b queue=1G linger=1s delimiter=newline ack=queued", ""),
    "a firehose stream": (FIREHOSE, ""),
    "plain HTTP to this machine": (FIREHOSE + "endpoint=http://[::1]:8080/", ""),
    "upper case": ("CLICKSTREAMSTREAM clicks FIREHOSE Region=us-east-1 AGGREGATE=Off", "clickstreamauth NONE"),
    "quotes around an option": (STREAM + 'file "path=/some folder"', ""),
    "the longest name": (f"ClickstreamStream {'x' * 64} file path=/tmp/x", f"ClickstreamDeliverTo {'x' * 64}"),
    "a quoted name": (FILE, 'ClickstreamDeliverTo "clicks"'),
    "a stream that is declared later": ("<Location /a/>\nClickstreamDeliverTo clicks\n</Location>\n" + FILE, ""),
    "a stream in a virtual host": (f"<VirtualHost *:*>\n{FILE}\n</VirtualHost>", ""),
    "all of a location": (FILE, "ClickstreamDeliverTo clicks\nClickstreamClient a\nClickstreamClient b\n"
                          "ClickstreamAuth bearer\nClickstreamAllowOrigin * https://*.example.com http://[::1]:8080\n"
                          "ClickstreamMaxBody 64M\nClickstreamMaxEvents 100000\nClickstreamMaxEvent 1000K\n"
                          "ClickstreamMaxDepth 64\nClickstreamRequire token tag"),
}


@pytest.mark.parametrize("directives, location", GOOD.values(), ids=GOOD)
def test_good_lines(server, directives, location):
    server.configure(directives, location)
    assert server.check() == (0, "Syntax OK\n")


# --- folders ---


def check_no_start(server, *texts):
    server.launch()
    assert server.process.wait(timeout=60) != 0
    for text in texts:
        assert text in server.console() + server.log()


def closed_folder(path):
    """A folder that is root's alone."""
    path.mkdir(mode=0o700)
    return path


def test_queue_folder_below_a_file(server):
    (server.root / "file").write_text("")
    server.configure(f'ClickstreamQueueDir "{server.root}/file/queues"\n{FILE_STREAM}')
    check_no_start(server, f"ClickstreamQueueDir {server.root}/file/queues cannot be made",
                   "make it, and give it to httpd's user")


def test_queue_folder_that_is_a_file(server):
    server.queues.write_text("")
    check_no_start(server, f"ClickstreamQueueDir {server.queues} cannot be made")
    assert server.queues.read_text() == ""


def test_object_folder_below_a_file(server):
    (server.root / "file").write_text("")
    server.configure(FILE_STREAM.replace("objects", "file/objects"))
    check_no_start(server, f"ClickstreamStream clicks file path {server.root}/file/objects cannot be made")


@AS_ROOT
@pytest.mark.parametrize("below", ["", "/below"], ids=["the folder itself", "a folder above it"])
def test_queue_folder_that_the_user_cannot_write(server, below):
    folder = f"{closed_folder(server.root / 'closed')}{below}"
    server.configure(f'ClickstreamQueueDir "{folder}"\n{FILE_STREAM}')
    check_no_start(server, f"ClickstreamQueueDir {folder} cannot be written by httpd's user {httpd_user()}: "
                   "chown it to that user, and let the user search the folders above it")


@AS_ROOT
def test_object_folder_that_the_user_cannot_write(server):
    folder = closed_folder(server.root / "objects")
    check_no_start(server, f"ClickstreamStream clicks file path {folder} cannot be written by httpd's user "
                   f"{httpd_user()}")


def test_owner_and_modes():
    user = httpd_user() or pwd.getpwuid(os.geteuid()).pw_name
    with Httpd(FILE_STREAM) as server:
        wait_for(queue_file(server).exists, what="a child to make the queue")
        found = {path.name: (path.stat(follow_symlinks=False), pwd.getpwuid(path.stat().st_uid).pw_name)
                 for path in (server.queues, server.root / "objects", queue_file(server))}
    modes = {name: (stat.filemode(info.st_mode), owner) for name, (info, owner) in found.items()}
    assert modes["queues"] == ("drwx------", user)
    assert modes["clicks.queue"] == ("-rw-------", user)
    assert modes["objects"][1] == user


# --- the disk ---


@pytest.fixture
def small_disk():
    """A disk of 2 MiB, mounted into a folder that httpd's user owns."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = public_folder()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    give_to_user(folder)
    yield folder
    # Lazily: a server of a test that failed may still have its queue open.
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def on_disk(folder, options):
    return f'ClickstreamQueueDir "{folder}"\n{FILE_STREAM.replace("queue=4M", "")} {options}'


# (what is written behind ours, the stream that is named, what its file takes: the header as well)
TOO_MUCH = {
    "far too large": ("queue=4M", "clicks", (4 << 20) + 65536),
    "too large with its header": ("queue=2M", "clicks", (2 << 20) + 65536),
    "too large together": ("queue=1M\nClickstreamStream more file path=/tmp queue=1M", "more", (1 << 20) + 65536),
}


@pytest.mark.parametrize("options, name, size", TOO_MUCH.values(), ids=TOO_MUCH)
def test_queue_larger_than_the_disk(server, small_disk, options, name, size):
    server.configure(on_disk(small_disk, options))
    check_no_start(server, f"ClickstreamStream {name}: its queue takes {size} bytes, and {small_disk} has room for",
                   "free some, or write a smaller queue=")


def test_queue_that_just_fits(small_disk):
    with Httpd(on_disk(small_disk, "queue=1M")) as server:
        check_works(server)


def test_disk_that_is_full_when_the_file_is_made(small_disk):
    # As one that died while it made the file leaves it: so the parent finds it there, and leaves it to the child.
    queue = small_disk / "clicks.queue"
    queue.write_text("")
    give_to_user(queue)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 1_500_000)
    with Httpd(on_disk(small_disk, "queue=1M")) as server:
        server.expected_errors = ["cannot be opened", "its queue cannot be used, clients get 500"]
        response = server.post(EVENT)
        assert (response.status, response.text) == NO_DATA
        assert (f"queue {queue} of 1048576 bytes cannot be opened: free room on that disk, or write a smaller queue="
                in server.log())
        assert "stream clicks: its queue cannot be used, clients get 500: see the lines about it above" in server.log()
        # An unfinished file would keep the disk full; each attempt makes one for a moment.
        wait_for(lambda: not queue.exists(), what="the unfinished file to be removed")
        filler.unlink()
        wait_for(lambda: server.post(EVENT).status == 200, what="the next attempt to open the queue")
        wait_for(lambda: record() in server.delivered_lines())


# --- what is found in the queue file's place ---


def queue_file(server):
    return server.queues / "clicks.queue"


def check_works(server):
    text = event('"value":"works"')
    assert server.post(text).status == 200
    wait_for(lambda: record(text) in server.delivered_lines())


def make_queue_folder(server):
    server.queues.mkdir(mode=0o700)
    give_to_user(server.queues)


def put(server, content):
    """Such a file is in the queue's place."""
    if not server.queues.exists():
        make_queue_folder(server)
    queue_file(server).write_bytes(content)
    give_to_user(queue_file(server))


def good_queue(server):
    """The content of a queue file that was in use."""
    server.start()
    check_works(server)
    server.stop()
    content = queue_file(server).read_bytes()
    assert content.startswith(b"CSQUEUE\n")
    return content


def overwrite(content, offset, data):
    return content[:offset] + data + content[offset + len(data):]


# Offsets: see header_t in queue/layout.h.
DAMAGES = {
    "magic": lambda content: overwrite(content, 0, b"X"),
    "version": lambda content: overwrite(content, 8, b"\xff"),
    "size of a mutex": lambda content: overwrite(content, 12, b"\xff"),
    "capacity": lambda content: overwrite(content, 16, b"\xff" * 8),
    "all behind the capacity": lambda content: overwrite(content, 24, b"\xff" * (65536 - 24)),
    "cut in the ring": lambda content: content[:1_000_000],
    "cut in the header": lambda content: content[:100],
    "longer than it says": lambda content: content + b"\0" * 65536,
    "another file": lambda _: b"not a queue\n" * 10_000,
    "a file of a few bytes": lambda _: b"x",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_file_that_is_no_queue_is_moved_aside(server, damage):
    content = damage(good_queue(server))
    put(server, content)
    server.expected_errors = ["is no queue of this version, or damaged"]
    server.start()
    check_works(server)
    server.stop()
    server.check_log()
    aside, = server.queues.glob("clicks.queue.aside-*")
    assert aside.read_bytes() == content
    assert (f"{queue_file(server)} is no queue of this version, or damaged: it is now {aside}, and a new one is made"
            in server.log())
    assert queue_file(server).read_bytes().startswith(b"CSQUEUE\n")


def test_undamaged_file_is_used_again(server):
    content = good_queue(server)
    server.start()
    check_works(server)
    server.stop()
    server.check_log()
    assert queue_file(server).stat().st_size == len(content)
    assert [path.name for path in server.queues.iterdir()] == ["clicks.queue"]


def make_link(server):
    target = server.root / "target"
    target.write_bytes(b"precious")
    give_to_user(target)
    queue_file(server).symlink_to(target)


def make_pipe(server):
    os.mkfifo(queue_file(server))
    give_to_user(queue_file(server))  # or else it would be the rights that keep us out


IN_ITS_PLACE = {
    "symbolic link": make_link,
    "dangling link": lambda server: queue_file(server).symlink_to(server.root / "nowhere"),
    "directory": lambda server: queue_file(server).mkdir(),
    "pipe": make_pipe,
}


@pytest.mark.parametrize("make", IN_ITS_PLACE.values(), ids=IN_ITS_PLACE)
def test_no_regular_file_in_its_place(server, make):
    make_queue_folder(server)
    make(server)
    before = queue_file(server).lstat()
    server.expected_errors = ["cannot be opened", "its queue cannot be used"]
    server.start()
    response = server.post(EVENT)
    assert (response.status, response.text) == NO_DATA
    server.stop()
    server.check_log()
    assert (f"queue {queue_file(server)} of 4194304 bytes cannot be opened: something that is no regular file is "
            "in its place: remove it" in server.log())
    after = queue_file(server).lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert not (server.root / "nowhere").exists()
    assert not (server.root / "target").exists() or (server.root / "target").read_bytes() == b"precious"


# --- another capacity ---


@pytest.mark.parametrize("before, after", [("1M", "2M"), ("2M", "1M")])
def test_another_capacity_keeps_what_waits(server, fake, keys, before, after):
    sizes = {"1M": 1 << 20, "2M": 2 << 20}
    events = [event(f'"value":{number}') for number in range(20)]
    server.environment.update(keys)
    server.expected_errors = ["not all was taken"]
    server.configure(firehose_stream(fake, f"linger=1ms queue={before}"))
    fake.kill()
    server.start()
    assert [server.post(text).status for text in events] == [200] * 20
    server.stop()
    server.configure(firehose_stream(fake, f"linger=1ms queue={after}"))
    server.start()
    changed = f"queue {queue_file(server)} has {sizes[after]} bytes now, it had {sizes[before]}"
    wait_for(lambda: changed in server.log(), what="the change")
    assert queue_file(server).stat().st_size == sizes[after] + 65536
    fake.start()
    wait_for(lambda: len(b"".join(fake.records()).splitlines()) >= 20, what="what waited")
    server.stop()
    server.check_log()
    assert sorted(b"".join(fake.records()).decode().split("\n")[:-1]) == sorted(map(record, events))
