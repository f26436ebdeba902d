"""The program clickstreamctl: beside an httpd that runs, without one, as root, and with all that can be wrong."""
# SPDX-License-Identifier: Apache-2.0

import atexit
import fcntl
import functools
import grp
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest
from load import event, lines_of, record
from server import BUILD, FILE_STREAM, TOP, Httpd, firehose_stream, give_to_user, httpd_user, public_folder, wait_for

CTL = BUILD / "cgi/clickstreamctl"
USAGE, DATA, NO_INPUT, UNAVAILABLE, CANNOT_CREATE, IO, TRY_AGAIN, NO_PERMISSION, CONFIG = (
    64, 65, 66, 69, 73, 74, 75, 77, 78)
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
RENAMED = re.compile(r"\.requeued-\d{8}T\d{6}Z(-\d+)?$")


@functools.cache
def for_everybody():
    """The program in a folder that other users can get into, as they may not be into the build's."""
    folder = public_folder()
    atexit.register(shutil.rmtree, folder)
    return shutil.copy(CTL, folder)


def start(*words, conf=None, environment=None, **more):
    base = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "CLICKSTREAM_"))}
    command = [for_everybody() if "user" in more else CTL, *(["-f", conf] if conf else []), *words]
    return subprocess.Popen([str(word) for word in command], env=base | (environment or {}), text=True,
                            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more})


def ctl(*words, **more):
    """Its exit status, its output and what it complains about."""
    process = start(*words, **more)
    output, complaints = process.communicate(timeout=60)
    return process.returncode, output, complaints


def status(conf, *words, **more):
    """The streams of `status --json`, by name."""
    code, output, complaints = ctl("status", "--json", *words, conf=conf, **more)
    assert (code, complaints) == (0, "")
    return {stream["name"]: stream for stream in json.loads(output)["streams"]}


def user_options():
    """Runs a program as httpd's user, where we are root."""
    user = httpd_user()
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


@pytest.fixture
def folder():
    made = public_folder()
    give_to_user(made)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def queues(folder):
    """The queue folder, as httpd would have made it."""
    made = folder / "queues"
    made.mkdir(mode=0o700)
    give_to_user(made)
    return made


def write_conf(folder, *lines, name="clickstream.conf"):
    path = folder / name
    path.write_text("\n".join([f"ClickstreamQueueDir {folder}/queues", *lines, ""]))
    return path


def file_stream(folder, options="queue=1M interval=1h linger=1h", name="clicks"):
    return f"ClickstreamStream {name} file path={folder}/objects {options}"


@pytest.fixture
def conf(folder, queues):
    """One stream into a folder, which waits for an hour if it is let."""
    return write_conf(folder, file_stream(folder))


def save(path, numbers, text=record):
    path.write_text("".join(f"{text(number)}\n" for number in numbers))
    give_to_user(path)
    return path


def renamed(path):
    return [each for each in path.parent.iterdir() if each.name.startswith(path.name) and RENAMED.search(each.name)]


def delivered(folder):
    paths = [path for path in (folder / "objects").rglob("clicks-1-*") if path.is_file()]
    return sorted(line for path in paths for line in path.read_text().splitlines())


# --- how it is called ---

WRONG = {
    "nothing": [], "no such command": ["list"], "an unknown option": ["--nonsense"], "no value": ["status", "-f"],
    "too much for status": ["status", "a", "b"], "too much for check": ["check", "a"], "too little": ["requeue"],
    "too much for requeue": ["requeue", "a", "b"], "another command's option": ["status", "-n", "3"],
    "another's long option": ["send", "--json"], "no time for check": ["check", "-t", "1s"],
    "none": ["peek", "-n", "0"], "too many": ["peek", "-n", "1001"], "no number": ["peek", "-n", "3x"],
    "no time": ["send", "-t", "soon"], "no time at all": ["send", "-t", "0"], "too long": ["send", "-t", "25h"],
    "a strange unit": ["send", "-t", "5ms"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_wrong_usage(conf, words):
    code, output, complaints = ctl(*words, environment={"CLICKSTREAM_CONFIG": str(conf)})
    assert (code, output) == (USAGE, "")
    assert "usage: clickstreamctl [-f CONF] " in complaints


def test_help_and_version():
    for words in (["--help"], ["-h"], ["status", "--help"]):
        code, output, complaints = ctl(*words)
        assert (code, complaints) == (0, "")
        assert all(f"\n  {name} " in output for name in ("status", "peek", "send", "check", "requeue"))
        assert "/clickstream/clickstream.conf" in output  # which is asked for without -f
    version = re.search(r"AC_INIT\(\[mod_clickstream\], \[(.*)\]\)", (TOP / "configure.ac").read_text())[1]
    assert ctl("--version") == (0, f"clickstreamctl {version}\n", "")


def test_options_before_and_after_the_command(conf):
    def seen(*words, **more):
        code, output, complaints = ctl(*words, **more)
        return code, re.sub(r'"generated_at":"[^"]+"', "", output), complaints

    assert seen("--json", "status") == seen("status", "--json") == seen("status", "-j")
    expected = seen("status", "--json", conf=conf)
    assert expected[0] == 0
    for words in (["--json", "-f", conf, "status", "clicks"], ["status", "clicks", f"--file={conf}", "-j"]):
        assert seen(*words) == expected


def test_which_configuration(folder, conf):
    other = write_conf(folder, file_stream(folder, name="other"), name="other.conf")
    environment = {"CLICKSTREAM_CONFIG": str(other)}
    assert list(status(None, environment=environment)) == ["other"]
    assert list(status(conf, environment=environment)) == ["clicks"]
    code, output, complaints = ctl("status", conf=folder / "none.conf")
    assert (code, output) == (CONFIG, "")
    assert complaints == (f"clickstreamctl: {folder}/none.conf: No such file or directory: write the configuration "
                          "there, or name its file: CLICKSTREAM_CONFIG in the environment, or clickstreamctl -f FILE\n")


@pytest.mark.parametrize("command", ["status", "peek", "send", "check", "requeue"])
def test_each_command_needs_a_configuration_that_is_right(folder, conf, command):
    write_conf(folder, "ClickstreamStream clicks kafka")
    words = [command, save(folder / "saved", [1])] if command == "requeue" else [command]
    code, output, complaints = ctl(*words, conf=conf)
    assert (code, output) == (CONFIG, "")
    assert f'{conf}, line 2: ClickstreamStream: "kafka" is no kind of stream: write firehose or file' in complaints


@pytest.mark.parametrize("command", ["status", "peek", "send"])
def test_a_stream_that_is_not_there(conf, command):
    code, output, complaints = ctl(command, "cliks", conf=conf)
    assert (code, output) == (USAGE, "")
    assert complaints == f"clickstreamctl: {conf} has no stream cliks: write one of clicks\n"


def test_a_file_without_streams(folder):
    path = folder / "apache2.conf"
    path.write_text("Listen 80\nInclude other.conf\n")
    code, _, complaints = ctl("status", conf=path)
    assert code == CONFIG
    assert f"{path}: there is no ClickstreamStream in it: name the file that has it with -f" in complaints


def test_output_that_gets_nowhere_is_no_success(folder, conf):
    ctl("requeue", save(folder / "saved", range(100)), conf=conf)
    with open("/dev/full", "w") as full:
        for words in (["status"], ["status", "--json"], ["peek"], ["check"], ["--help"]):
            process = start(*words, conf=conf, stdout=full)
            assert process.wait(timeout=60) == IO
            assert "the output cannot be written" in process.stderr.read()
            process.stderr.close()


def test_the_man_page_has_it_all():
    """Each command, each option of the help, and each name of the JSON document."""
    page = (TOP / "cgi/clickstreamctl.1").read_text()
    for command in ("status", "peek", "send", "check", "requeue"):
        assert f".It Cm {command}" in page
    names = set(re.findall(r'\\"([a-z]\w+)\\":|(?:, |\{)"([a-z]\w+)", ',
                           (TOP / "mod_clickstream/status/json.c").read_text()))
    names = {one or other for one, other in names}
    assert len(names) >= 50
    for name in names:
        assert re.search(rf"^\.It {name} Ta ", page, re.MULTILINE), name
    states = re.findall(r'X\(\w+, "(\w+)", ', (TOP / "mod_clickstream/status/snapshot.h").read_text())
    assert len(states) == 7
    for state in states:
        assert f"\n.It {state}\n" in page, state
    used = {int(getattr(os, f"EX_{name}")) for path in (TOP / "cgi").glob("*.c")
            for name in re.findall(r"\bEX_([A-Z]+)\b", path.read_text())}
    listed = {int(number) for line in re.findall(r"^\.It (\d+(?: , \d+)*)$", page, re.MULTILINE)
              for number in line.split(" , ")}
    assert listed == used


# --- check ---

@pytest.mark.parametrize("there", [True, False], ids=["there", "to be made"])
def test_a_good_configuration(folder, conf, there):
    if not there:
        (folder / "queues").rmdir()
    conf.write_text(conf.read_text() + "ClickstreamClient a\nClickstreamRequire token\n")
    before = sorted(folder.rglob("*"))
    assert ctl("check", conf=conf, **({} if there else user_options())) == (0, "Syntax OK\n", "")
    assert sorted(folder.rglob("*")) == before  # it makes nothing


@pytest.mark.parametrize("line, sentence", [
    ("ClickstreamMaxEvents many", 'line 3: ClickstreamMaxEvents: "many" is not possible here'),
    ("<Location />", "line 3: sections are httpd's: write the directives flat; for httpd's own configuration use "
     "apachectl configtest"),
    ("ClickstreamMaxEvnts 5", "line 3: ClickstreamMaxEvnts is not a directive of clickstream: write "
     "ClickstreamMaxEvents"),
    ("ClickstreamDeliverTo other", "line 3: ClickstreamDeliverTo other: there is no such stream"),
])
def test_a_wrong_configuration(conf, line, sentence):
    conf.write_text(conf.read_text() + line + "\n")
    code, output, complaints = ctl("check", conf=conf)
    assert (code, output) == (CONFIG, "")
    assert f"clickstreamctl: {conf}, {sentence}" in complaints


def test_folders_that_cannot_be(folder, queues):
    (folder / "file").write_text("")
    closed = folder / "closed"
    secret = folder / "secret"
    closed.mkdir(mode=0o555)
    secret.mkdir(mode=0o600)
    cases = [
        (f"ClickstreamQueueDir {folder}/file/q", f"ClickstreamQueueDir {folder}/file/q: {folder}/file is no folder"),
        (f"ClickstreamQueueDir {secret}/q", f"ClickstreamQueueDir {secret}/q: let this user search the folders above "
         "it"),
        (f"ClickstreamQueueDir {folder}/file", f"ClickstreamQueueDir {folder}/file: {folder}/file is no folder"),
        (f"ClickstreamQueueDir {closed}", f"ClickstreamQueueDir {closed} cannot be written: let this user write "
         f"{closed}"),
        (f"ClickstreamQueueDir {closed}/a/b", f"ClickstreamQueueDir {closed}/a/b cannot be made: let this user write "
         f"{closed}"),
        (f"ClickstreamQueueDir {queues}\nClickstreamStream more file path={closed}/o",
         f"ClickstreamStream more file path {closed}/o cannot be made: let this user write {closed}"),
    ]
    for lines, sentence in cases:
        path = folder / "clickstream.conf"
        path.write_text(f"{lines}\n{file_stream(folder)}\nClickstreamDeliverTo clicks\n")
        code, output, complaints = ctl("check", conf=path, **user_options())
        assert (code, output) == (CONFIG, "")
        assert f"clickstreamctl: {sentence}" in complaints


def test_a_disk_with_too_little_room(folder, queues):
    count = shutil.disk_usage(queues).free // (64 << 30) + 2
    lines = [file_stream(folder, "queue=64G", f"clicks{number}") for number in range(count)]
    code, _, complaints = ctl("check", conf=write_conf(folder, *lines, "ClickstreamDeliverTo clicks0"))
    assert code == CONFIG
    assert re.search(rf"ClickstreamStream clicks\d+: its queue takes 68719542272 bytes, and the disk of {queues} has "
                     r"room for \d+: free some, or write a smaller queue=", complaints)


# --- streams that are gone ---

def test_what_waits_for_no_stream_any_more(folder, queues):
    """Is told of by status and check, which look at all of the folder, and changes nothing else that they say."""
    both = write_conf(folder, file_stream(folder), file_stream(folder, name="gone"), "ClickstreamDeliverTo clicks",
                      name="both.conf")
    conf = write_conf(folder, file_stream(folder))
    assert ctl("requeue", "-s", "gone", save(folder / "saved", range(5)), conf=both)[0] == 0
    before = (queues / "gone.queue").read_bytes()
    line = (f"clickstreamctl: queue {queues}/gone.queue belongs to no ClickstreamStream of {conf}, and 5 events wait in "
            "it: write the ClickstreamStream line of gone again until it is empty, or deliver them with clickstreamctl "
            "-f FILE send gone, where FILE has that line and ClickstreamQueueDir\n")
    assert ctl("check", conf=conf) == (0, "Syntax OK\n", line)
    code, output, complaints = ctl("status", conf=conf)
    assert (code, len(output.splitlines()), complaints) == (0, 2, line)
    code, output, complaints = ctl("status", "--json", conf=conf)
    assert (code, [stream["name"] for stream in json.loads(output)["streams"]], complaints) == (0, ["clicks"], line)
    assert ctl("status", "clicks", conf=conf)[2] == ""  # who asks for one stream gets that
    assert (queues / "gone.queue").read_bytes() == before
    assert sorted(path.name for path in queues.iterdir()) == ["gone.queue"]
    assert ctl("status", conf=both)[2] == ctl("check", conf=both)[2] == ""
    assert ctl("send", "gone", conf=both) == (0, "", "")  # what it says to do
    assert ctl("status", conf=conf)[2] == ctl("check", conf=conf)[2] == ""


# --- without httpd ---

def test_nothing_is_made_by_looking(folder, conf):
    (folder / "queues").rmdir()
    for command in ("peek", "send"):
        assert ctl(command, conf=conf) == (0, "", "")
    seen = status(conf)["clicks"]
    words = {key: value for key, value in seen.items() if not isinstance(value, int) or isinstance(value, bool)}
    assert {key: value for key, value in seen.items() if key not in words} == dict.fromkeys(seen.keys() - words, 0)
    assert len(seen) - len(words) == 22
    assert words["latency"].pop("buckets")[-1] == {"within_seconds": None, "count": 0}
    assert words == {
        "name": "clicks", "kind": "file", "state": "no_queue", "healthy": True, "why": None, "events_per_record": None,
        "refused": dict.fromkeys(words["refused"], 0), "last_error": None, "sender_seen": None, "trend": [],
        "latency": {"window_seconds": 0, "p50_seconds": None, "p99_seconds": None, "count": 0, "sum_seconds": 0}}
    code, output, _ = ctl("status", conf=conf)
    assert code == 0
    assert output.splitlines()[1].split()[:5] == ["clicks", "file", "no_queue", "-", "-"]
    assert not (folder / "queues").exists()
    assert not (folder / "objects").exists()


def test_saved_events_are_queued_shown_and_delivered(folder, conf):
    saved = save(folder / "saved.jsonl", range(25))
    code, output, complaints = ctl("requeue", saved, conf=conf)
    assert (code, complaints) == (0, "")
    assert output == f"25 events are queued again for stream clicks; the file is {renamed(saved)[0]} now\n"
    assert not saved.exists()

    assert ctl("peek", conf=conf) == (0, "".join(f"{record(n)}\n" for n in range(10)), "")
    assert ctl("peek", "-n", "1000", "clicks", conf=conf)[1].splitlines() == [record(n) for n in range(25)]
    assert ctl("peek", "-n", "1", conf=conf)[1] == record(0) + "\n"
    seen = status(conf)["clicks"]
    size = sum(len(record(n)) for n in range(25))
    assert (seen["state"], seen["waiting"], seen["waiting_bytes"], seen["appended"]) == ("waiting", 25, size, 25)
    assert size < seen["used_bytes"] < seen["capacity_bytes"] == 1 << 20
    assert seen["used_percent"] == seen["used_bytes"] * 100 >> 20

    began = time.monotonic()
    assert ctl("send", conf=conf) == (0, "", "")
    assert time.monotonic() - began < 10  # whatever interval= and linger= say
    assert delivered(folder) == sorted(record(n) for n in range(25))
    seen = status(conf)["clicks"]
    assert (seen["state"], seen["waiting"], seen["delivered"], seen["delivered_bytes"]) == ("idle", 0, 25, size)
    assert ctl("peek", conf=conf) == (0, "", "")


def test_the_table_is_for_people(folder, queues):
    conf = write_conf(folder, file_stream(folder), file_stream(folder, name="a-stream-with-a-long-name"),
                      "ClickstreamStream aws firehose region=us-east-1")
    ctl("requeue", "-s", "clicks", save(folder / "saved", range(300)), conf=conf)
    code, output, complaints = ctl("status", conf=conf)
    assert (code, complaints) == (0, "")
    head, clicks, other, aws = output.splitlines()
    assert head.split() == ["STREAM", "KIND", "STATE", "WAITING", "BYTES", "OLDEST", "FULL", "APPENDED", "DELIVERED",
                            "REJECTED", "LOST", "REFUSED", "BATCHES", "FAILED", "RETRIED"]
    assert len({len(line) for line in output.splitlines()}) == 1
    assert clicks[head.index("KIND"):].startswith("file ")
    for column, value in (("WAITING", "300"), ("APPENDED", "300"), ("DELIVERED", "0"), ("FULL", "9%")):
        end = head.index(column) + len(column)
        assert clicks[:end].endswith(f" {value}")
        assert other[:end].endswith(" -")
    assert re.search(r" \d\dK ", clicks)
    assert aws.split()[1] == "firehose"
    assert ctl("status", "clicks", conf=conf)[1].splitlines()[1].split() == clicks.split()


def test_a_name_is_needed_where_there_are_several(folder, queues):
    conf = write_conf(folder, file_stream(folder), file_stream(folder, name="other"))
    for words in (["peek"], ["requeue", save(folder / "saved", [1])]):
        code, output, complaints = ctl(*words, conf=conf)
        assert (code, output) == (USAGE, "")
        assert complaints == f"clickstreamctl: {conf} has several streams: say which, one of clicks, other\n"
    assert ctl("peek", "other", conf=conf)[0] == 0


def test_how_late_and_how_full(folder, queues):
    conf = write_conf(folder, file_stream(folder, "queue=1M linger=1ms interval=10ms"))
    ctl("requeue", save(folder / "saved", [1]), conf=conf)
    seen = status(conf)["clicks"]
    assert (seen["state"], seen["healthy"], seen["why"]) == ("waiting", True, None)
    with open(queues / "clicks.queue", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as one who uses it: nobody looks whether frames are whole
        file.seek(65536 + 16)  # the first frame's queued_at: see queue/layout.h
        file.write(struct.pack("=q", int((time.time() - 7300) * 1_000_000)))
        file.flush()
        seen = status(conf)["clicks"]
        assert (seen["state"], 7300 <= seen["oldest_seconds"] < 7360) == ("waiting", True)
        assert not seen["healthy"]
        assert re.fullmatch(r"its oldest event has waited for 73\d\d s, the limit is 300 s", seen["why"])
        assert ctl("status", conf=conf)[1].splitlines()[1].split()[2:6] == ["waiting", "1", str(len(record(1))), "2h"]
        assert ctl("requeue", save(folder / "saved", range(10), lambda n: f'{{"pad":"{"x" * 99900}"}}'), conf=conf)[0] == 0
        seen = status(conf)["clicks"]
        assert (seen["state"], seen["used_percent"]) == ("full", 95)
        assert seen["why"].startswith("its queue is 95% full, the limit is 90%; its oldest event has waited for 7")
        assert re.match(r"clicks +file +full +11 +975K +2h +95% ", ctl("status", conf=conf)[1].splitlines()[1])


def test_a_queue_that_is_none(folder, conf, queues):
    (queues / "clicks.queue").write_text("precious")
    give_to_user(queues / "clicks.queue")
    code, output, complaints = ctl("status", "--json", conf=conf)
    assert code == UNAVAILABLE
    assert json.loads(output)["streams"][0]["state"] == "unusable"
    assert "it is no queue of this version, or damaged" in complaints
    for command in ("peek", "send"):
        code, output, complaints = ctl(command, conf=conf)
        assert (code, output) == (UNAVAILABLE, "")
        assert "it is no queue of this version, or damaged" in complaints
    assert (queues / "clicks.queue").read_text() == "precious"


def test_send_gives_up_in_time_and_keeps_everything(folder, conf):
    ctl("requeue", save(folder / "saved", range(3)), conf=conf)
    (folder / "objects").write_text("")  # where the folder should be
    began = time.monotonic()
    code, output, complaints = ctl("send", "-t", "1s", conf=conf)
    assert (code, output) == (TRY_AGAIN, "")
    assert 1 <= time.monotonic() - began < 5
    assert "clickstream: stream clicks: delivery has failed" in complaints
    assert "stream clicks: 3 events still wait: " in complaints
    (folder / "objects").unlink()
    assert ctl("send", "-t", "20", conf=conf) == (0, "", "")
    assert len(delivered(folder)) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_send_ends_when_it_is_told(folder, conf, number):
    ctl("requeue", save(folder / "saved", range(3)), conf=conf)
    (folder / "objects").write_text("")
    process = start("send", conf=conf)
    line = process.stderr.readline()  # now it is at work
    began = time.monotonic()
    process.send_signal(number)
    complaints = line + process.communicate(timeout=20)[1]
    assert time.monotonic() - began < 5
    assert process.returncode == TRY_AGAIN
    assert "3 events still wait" in complaints
    assert status(conf)["clicks"]["waiting"] == 3


def test_a_stream_in_trouble_does_not_hold_up_another(folder, queues):
    conf = write_conf(folder, file_stream(folder), f"ClickstreamStream bad file path={folder}/bad queue=1M")
    (folder / "bad").write_text("")
    for name in ("bad", "clicks"):
        assert ctl("requeue", "-s", name, save(folder / "saved", range(3)), conf=conf)[0] == 0
    code, _, complaints = ctl("send", "-t", "1", conf=conf)
    assert code == TRY_AGAIN
    assert "stream bad: 3 events still wait" in complaints
    assert "stream clicks" not in complaints
    assert len(delivered(folder)) == 3
    assert ctl("send", "clicks", conf=conf) == (0, "", "")


# --- requeue ---

def test_lines_of_both_kinds_and_the_stream_of_the_name(folder, queues):
    """clicks.rejected is for clicks, whatever other streams there are; what is rejected is unwrapped."""
    conf = write_conf(folder, file_stream(folder), file_stream(folder, name="click"))
    tricky = '{"a":"caf\u00e9 \\"x\\" \\u0000 \U0001f600","b":[1.10,{"c":null}]}'
    path = folder / "clicks.rejected-of-last-week"
    lines = [json.dumps({"rejected_at": "2026-01-31T23:59:59.123Z", "reason": "r", "record": record(1)}),
             json.dumps({"rejected_at": "2026-01-31T23:59:59.123Z", "reason": "r", "record": tricky},
                        ensure_ascii=False), "", f"  {record(2)}\t\r", "   "]
    path.write_text("\n".join(lines))
    give_to_user(path)
    code, output, complaints = ctl("requeue", path, conf=conf)
    assert (code, complaints) == (0, "")
    assert output.startswith("3 events are queued again for stream clicks;")
    assert ctl("peek", "clicks", conf=conf)[1].splitlines() == [record(1), tricky, record(2)]
    save(path, [3])
    assert ctl("requeue", "-s", "click", path, conf=conf)[1].startswith("1 event is queued again for stream click;")


def wrap(text):
    return json.dumps({"rejected_at": "x", "reason": "r", "record": text})


LONGEST = '{"a":"' + "x" * (1_024_000 - 1 - 8) + '"}'
BAD_LINES = {
    "no JSON": ("hello", "not_an_object"), "cut off": ('{"a":1', "malformed_json"), "an array": ("[{}]", "not_an_object"),
    "two objects": ("{}{}", "malformed_json"), "NaN": ('{"a":NaN}', "malformed_json"), "a text": ('"a"', "not_an_object"),
    "a trailing comma": ('{"a":1,}', "malformed_json"), "too long": (LONGEST[:-2] + 'x"}', "too_large"),
    "too deep": ('{"a":' + "[" * 64 + "]" * 64 + "}", "too_deep"), "a rejected non-object": (wrap("[]"), "not_an_object"),
    "a rejected line of two": (wrap('{"a":\n1}'), "malformed_json"), "a rejected text": (wrap("x"), "not_an_object"),
}


@pytest.mark.parametrize("line, reason", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_keeps_all_from_being_queued(folder, queues, line, reason):
    conf = write_conf(folder, file_stream(folder, "queue=8M"))
    path = folder / "saved"
    path.write_text(f"{record(1)}\n\n{line}\n{record(2)}\n")
    give_to_user(path)
    code, output, complaints = ctl("requeue", path, conf=conf)
    assert (code, output) == (DATA, "")
    assert f"clickstreamctl: {path}, line 3: {reason}: nothing is queued; each line has to be a JSON object" in complaints
    assert path.exists()
    assert not (queues / "clicks.queue").exists()


def test_the_longest_and_the_deepest_line(folder, queues):
    conf = write_conf(folder, file_stream(folder, "queue=8M"))
    path = folder / "saved"
    deepest = '{"a":' + "[" * 63 + "]" * 63 + "}"
    path.write_text(f"{LONGEST}\n{deepest}")  # and no newline at the end
    give_to_user(path)
    assert ctl("requeue", path, conf=conf)[1].startswith("2 events are queued again")
    assert ctl("peek", conf=conf)[1].splitlines() == [LONGEST, deepest]
    assert ctl("send", conf=conf) == (0, "", "")
    assert delivered(folder) == sorted([LONGEST, deepest])


def test_what_is_no_file_to_requeue(folder, conf):
    saved = save(folder / "saved", [1])
    (folder / "link").symlink_to(saved)
    os.mkfifo(folder / "fifo")
    for path in (folder / "none", folder / "link", folder / "fifo", folder):
        code, output, complaints = ctl("requeue", path, conf=conf)
        assert (code, output) == (NO_INPUT, "")
        assert f"clickstreamctl: {path} cannot be read: " in complaints
    empty = save(folder / "empty", [])
    assert ctl("requeue", empty, conf=conf) == (0, f"{empty} has no events: nothing is queued\n", "")
    assert empty.exists()


def test_a_queue_that_is_full_takes_nothing(folder, conf):
    def big(n):
        return f'{{"n":{n},"pad":"{"x" * 7000}"}}'

    assert ctl("requeue", save(folder / "one", range(100), big), conf=conf)[0] == 0
    two = save(folder / "two", range(100, 200), big)
    code, output, complaints = ctl("requeue", two, conf=conf)
    assert (code, output) == (TRY_AGAIN, "")
    assert "the queue of stream clicks has room for" in complaints
    assert "nothing is queued; try again when more is delivered, or split the file" in complaints
    assert status(conf)["clicks"]["waiting"] == 100
    assert ctl("send", conf=conf)[0] == 0
    assert ctl("requeue", two, conf=conf)[0] == 0
    assert ctl("send", conf=conf)[0] == 0
    assert delivered(folder) == sorted(map(big, range(200)))
    for count in (160, 1000):  # the second is seen to be by its size alone
        three = save(folder / "three", range(count), big)
        code, output, complaints = ctl("requeue", three, conf=conf)
        assert (code, output) == (DATA, "")
        assert f"{three} is too large: the queue of stream clicks holds 1048576 bytes" in complaints
        assert "split the file" in complaints
    assert status(conf)["clicks"]["waiting"] == 0


def test_a_name_that_is_taken_is_not_replaced(folder, conf):
    """Two in the same second; what was put aside first stays what it is."""
    for number in range(5):
        assert ctl("requeue", save(folder / "saved", [number]), conf=conf)[0] == 0
    assert sorted(path.read_text() for path in renamed(folder / "saved")) == [f"{record(n)}\n" for n in range(5)]


def test_a_file_that_cannot_be_renamed_says_that_its_events_are_queued(folder, conf):
    path = save(folder / ("x" * 240), range(2))  # the new name would be too long
    code, output, complaints = ctl("requeue", path, conf=conf)
    assert (code, output) == (CANNOT_CREATE, "")
    assert f"2 events ARE queued again, but {path} cannot be renamed to " in complaints
    assert "move it yourself, and do not requeue it once more" in complaints
    assert status(conf)["clicks"]["waiting"] == 2


def test_a_folder_that_cannot_be_written_is_found_out_before(folder, conf):
    closed = folder / "closed"
    closed.mkdir()
    path = save(closed / "saved", [1])
    closed.chmod(0o555)
    code, output, complaints = ctl("requeue", path, conf=conf)
    assert (code, output) == (NO_PERMISSION, "")
    assert f"{path} could not be renamed afterwards: Permission denied" in complaints
    assert status(conf)["clicks"]["state"] == "no_queue"


def test_it_waits_for_the_lock_of_the_file(folder, conf):
    path = save(folder / "clicks.rejected", range(2))
    with open(path, "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        process = start("requeue", path, conf=conf)
        wait_for(lambda: " FLOCK " in pathlib.Path("/proc/locks").read_text(), what="the lock")
        holder.write(f"{record(2)}\n")  # as a sender does
    output, complaints = process.communicate(timeout=20)
    assert (process.returncode, complaints) == (0, "")
    assert output.startswith("3 events are queued again")


def test_another_requeue_has_the_file(folder, conf):
    path = save(folder / "saved", range(2))
    with open(path) as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        code, output, complaints = ctl("requeue", path, conf=conf)
    assert (code, output) == (TRY_AGAIN, "")
    assert "another requeue may be at work; try again" in complaints
    assert path.exists()


def test_many_requeue_the_same_file_and_one_does_it(folder, conf):
    for attempt in range(5):
        path = save(folder / "saved", range(100))
        processes = [start("requeue", path, conf=conf) for _ in range(4)]
        for process in processes:
            process.communicate(timeout=30)
        assert sorted(process.returncode for process in processes)[0] == 0
        assert {process.returncode for process in processes[1:]} <= {0, NO_INPUT, TRY_AGAIN}
        assert [process.returncode for process in processes].count(0) == 1
        assert status(conf)["clicks"]["appended"] == 100 * (attempt + 1)


def test_a_killed_requeue_queues_all_or_nothing(folder, queues):
    """And a file whose events are not queued is never out of the way."""
    conf = write_conf(folder, file_stream(folder, "queue=16M"))
    path = folder / "saved"
    before = killed = 0
    randomness = random.Random(3)
    for _ in range(40):
        for left in renamed(path):
            left.unlink()
        save(path, range(2000))
        process = start("requeue", path, conf=conf)
        time.sleep(randomness.uniform(0, 0.04))
        process.kill()
        process.communicate(timeout=20)
        killed += process.returncode != 0
        waiting = status(conf)["clicks"]["waiting"]
        assert waiting in (before, before + 2000)
        assert path.exists() != bool(renamed(path))
        assert path.exists() or waiting == before + 2000
        before = waiting
        if waiting > 10000:
            ctl("send", conf=conf)
            before = 0
    assert killed > 0


# --- as root ---

@AS_ROOT
def test_root_becomes_the_owner_of_the_folder(folder, conf, queues):
    user = httpd_user()
    assert ctl("requeue", save(folder / "saved", range(3)), conf=conf)[0] == 0
    assert ctl("peek", conf=conf)[0] == 0
    assert ctl("send", conf=conf)[0] == 0
    made = [path for path in [*queues.rglob("*"), *(folder / "objects").rglob("*")]]
    assert len(made) > 5
    assert {path.owner() for path in made} == {user}
    assert (queues / "clicks.queue").stat().st_mode & 0o777 == 0o600


@AS_ROOT
def test_what_root_alone_may_read_is_opened_before(folder, conf):
    conf.chmod(0o600)
    os.chown(conf, 0, 0)
    saved = save(folder / "saved", range(3))
    os.chown(saved, 0, 0)
    saved.chmod(0o600)
    assert ctl("requeue", saved, conf=conf)[0] == 0
    assert status(conf)["clicks"]["waiting"] == 3
    folder.chmod(0o1777)  # as /tmp, where only the owner may rename
    os.chown(folder, 0, 0)
    saved = folder / "saved"
    saved.write_text(record(1))
    code, _, complaints = ctl("requeue", saved, conf=conf)
    assert code == NO_PERMISSION
    assert "it is another user's, in a folder for all" in complaints
    assert status(conf)["clicks"]["waiting"] == 3


@AS_ROOT
def test_root_does_not_make_the_folder(folder, conf):
    (folder / "queues").rmdir()
    code, _, complaints = ctl("requeue", save(folder / "saved", range(3)), conf=conf)
    assert code == CONFIG
    assert "is not there, and root cannot know whose it is to be" in complaints
    assert not (folder / "queues").exists()


def test_a_user_makes_the_folder(folder, conf):
    (folder / "queues").rmdir()
    path = save(folder / "saved", range(3))
    assert ctl("requeue", path, conf=conf, **user_options())[0] == 0
    assert (folder / "queues").stat().st_mode & 0o777 == 0o700
    assert status(conf)["clicks"]["waiting"] == 3


@AS_ROOT
def test_another_user_may_not(folder, conf):
    ctl("requeue", save(folder / "saved", range(3)), conf=conf)
    code, output, complaints = ctl("status", "--json", conf=conf, user="nobody", group="nogroup", extra_groups=[])
    assert code == UNAVAILABLE
    assert json.loads(output)["streams"][0]["state"] == "unusable"
    assert "Permission denied" in complaints


# --- beside httpd ---

def post_numbers(httpd, numbers):
    assert httpd.post("[" + ",".join(map(event, numbers)) + "]").status == 200


def test_beside_a_running_httpd(fake, keys):
    """Its own configuration file is read; what it counts is shown; nothing is taken from it."""
    with Httpd(firehose_stream(fake, "queue=1M linger=20ms"), environment=keys) as httpd:
        conf = httpd.root / "httpd.conf"
        post_numbers(httpd, range(20))
        httpd.post("{}")
        httpd.post("nonsense")
        wait_for(lambda: len(lines_of(fake)) == 20, what="the events")
        wait_for(lambda: status(conf)["clicks"]["waiting"] == 0, what="their acknowledgement")
        seen = status(conf)["clicks"]
        assert (seen["kind"], seen["state"], seen["appended"], seen["delivered"]) == ("firehose", "idle", 20, 20)
        assert seen["refused_total"] == 2
        assert {reason: count for reason, count in seen["refused"].items() if count} == {
            "missing_field": 1, "malformed_json": 1}
        assert seen["batches"] >= 1
        assert (seen["batches_failed"], seen["retried"], seen["rejected"], seen["lost"]) == (0, 0, 0, 0)
        assert ctl("send", conf=conf) == (0, "", "")
        assert ctl("peek", conf=conf) == (0, "", "")
        assert ctl("check", conf=conf)[0] == CONFIG  # which is for the CGI's
        post_numbers(httpd, range(20, 40))
        wait_for(lambda: len(lines_of(fake)) == 40, what="the next events")
    assert fake.duplicates() == []


def test_what_waits_beside_a_running_httpd(fake, keys):
    with Httpd(firehose_stream(fake, "queue=1M linger=20ms"), environment=keys) as httpd:
        httpd.expected_errors = ["delivery has failed"]
        conf = httpd.root / "httpd.conf"
        fake.stop()
        post_numbers(httpd, range(30))
        wait_for(lambda: status(conf)["clicks"]["batches_failed"], what="a failure")
        assert ctl("peek", "-n", "30", conf=conf)[1].splitlines() == [record(n) for n in range(30)]
        seen = status(conf)["clicks"]
        assert (seen["waiting"], seen["state"]) == (30, "retrying")
        assert ctl("send", conf=conf, environment=keys) == (0, "", "")  # the module is at it
        fake.start()
        wait_for(lambda: status(conf)["clicks"]["delivered"] == 30, 60, "the events")
    assert sorted(lines_of(fake)) == sorted(record(n) for n in range(30))


def test_looking_while_events_flow(fake, keys):
    """status and peek in a loop, under load: httpd is not disturbed, and what is shown is whole."""
    with Httpd(firehose_stream(fake, "queue=1M linger=1ms"), environment=keys) as httpd:
        conf = httpd.root / "httpd.conf"
        post_numbers(httpd, [0])
        looked = 0
        lookers = [start(command, conf=conf) for command in ("peek", "status")]
        sent = 1
        while sent < 2001 or (looked < 3 and sent < 100_001):
            post_numbers(httpd, range(sent, sent + 50))
            sent += 50
            for i, looker in enumerate(lookers):
                if looker.poll() is None:
                    continue
                output, complaints = looker.communicate()
                assert (looker.returncode, complaints) == (0, "")
                assert i == 1 or all(line == record(json.loads(line)["number"]) for line in output.splitlines())
                lookers[i] = start(*[["peek", "-n", "1000"], ["status"]][i], conf=conf)
                looked += 1
        for looker in lookers:
            looker.communicate(timeout=20)
        assert looked > 2
        wait_for(lambda: status(conf)["clicks"]["delivered"] == sent, what="all of it")
    assert sorted(lines_of(fake)) == sorted(record(n) for n in range(sent))


def test_send_for_a_stopped_httpd(fake, keys):
    """What a stopped httpd left is delivered, with its configuration; and then httpd goes on with the same file."""
    httpd = Httpd(firehose_stream(fake, "queue=1M linger=20ms"), environment=keys)
    httpd.expected_errors = ["delivery has failed"]
    conf = httpd.root / "httpd.conf"
    try:
        httpd.start()
        fake.stop()
        post_numbers(httpd, range(300))
        post_numbers(httpd, range(300, 600))
        httpd.stop()
        code, _, complaints = ctl("send", "-t", "1s", conf=conf, environment=keys)
        assert code == TRY_AGAIN
        assert "600 events still wait" in complaints
        nobody = {"AWS_EC2_METADATA_DISABLED": "true"}  # nor an instance's role
        code, _, complaints = ctl("send", "-t", "1s", conf=conf, environment=nobody)
        assert code == TRY_AGAIN
        assert "600 events still wait: no credentials: " in complaints and "write credentials=FILE" in complaints
        fake.start()
        assert ctl("send", conf=conf, environment=keys) == (0, "", "")
        assert sorted(lines_of(fake)) == sorted(record(n) for n in range(600))
        httpd.start()
        post_numbers(httpd, range(600, 610))
        wait_for(lambda: len(lines_of(fake)) == 610, what="the new events")
        httpd.stop()
        httpd.check_log()
        seen = status(conf)["clicks"]
        assert (seen["delivered"], seen["waiting"], seen["rejected"]) == (610, 0, 0)
    finally:
        httpd.stop()
        shutil.rmtree(httpd.root)


@pytest.mark.parametrize("running", [True, False], ids=["while httpd runs", "when it is stopped"])
def test_what_firehose_refused_comes_back_when_that_is_mended(fake, keys, running):
    fake.faults([{"kind": "invalid", "matching": '"number":12'}])
    httpd = Httpd(firehose_stream(fake, "queue=1M linger=50ms"), environment=keys)
    httpd.expected_errors = ["will never take an event"]
    conf, path = httpd.root / "httpd.conf", httpd.queues / "clicks.rejected"
    refused = [n for n in range(200) if str(n).startswith("12")]
    try:
        httpd.start()
        post_numbers(httpd, range(100))
        post_numbers(httpd, range(100, 200))
        wait_for(lambda: status(conf)["clicks"]["rejected"] == len(refused), what="what is refused")
        wait_for(lambda: len(lines_of(fake)) == 200 - len(refused), what="the rest")
        if not running:
            httpd.stop()
        fake.faults([])
        code, output, complaints = ctl("requeue", path, conf=conf)
        assert (code, complaints) == (0, "")
        assert output == (f"{len(refused)} events are queued again for stream clicks; the file is "
                          f"{renamed(path)[0]} now\n")
        if not running:
            assert ctl("send", conf=conf, environment=keys) == (0, "", "")
        wait_for(lambda: len(lines_of(fake)) == 200, what="all of them")
        assert sorted(lines_of(fake)) == sorted(record(n) for n in range(200))
        code, _, complaints = ctl("requeue", path, conf=conf)  # once more by mistake
        assert code == NO_INPUT
        assert "No such file" in complaints
        if running:  # and what is refused next has a file again
            fake.faults([{"kind": "invalid", "matching": '"number":999,'}])
            post_numbers(httpd, [999])
            wait_for(path.exists, what="the new file")
            assert path.read_text().count("\n") == 1
        httpd.stop()
        httpd.check_log()
    finally:
        httpd.stop()
        shutil.rmtree(httpd.root)


def test_the_file_stream_of_a_running_httpd():
    """Its sender holds the object open for the interval; send leaves that to it."""
    with Httpd(FILE_STREAM.replace("interval=50ms", "interval=1h")) as httpd:
        conf = httpd.root / "httpd.conf"
        post_numbers(httpd, range(5))
        wait_for(lambda: list((httpd.root / "objects").glob(".clicks.partial")), what="the open object")
        assert ctl("send", conf=conf) == (0, "", "")
        assert status(conf)["clicks"]["waiting"] == 5


# --- as a member of ClickstreamQueueGroup ---

@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as a member of a group, and as another user")
def test_a_member_of_the_group_and_a_stranger(fake, keys):
    group = grp.getgrgid(pwd.getpwnam(httpd_user()).pw_gid)
    stranger = {"user": 54321, "group": 54321, "extra_groups": []}
    member = {**stranger, "extra_groups": [group.gr_gid]}
    fake.faults([{"kind": "invalid", "matching": '"number":1,'}])
    with Httpd(f"ClickstreamQueueGroup {group.gr_name}\n" + firehose_stream(fake, "linger=20ms"), environment=keys) as httpd:
        httpd.expected_errors = ["will never take an event"]
        rejected, conf = httpd.queues / "clicks.rejected", httpd.root / "httpd.conf"
        for number in range(3):
            assert httpd.post(event(number)).status == 200
        wait_for(lambda: rejected.exists() and len(lines_of(fake)) == 2, what="two events there, and one rejected")
        assert (rejected.stat().st_mode & 0o777, rejected.stat().st_gid) == (0o660, group.gr_gid)

        assert status(conf, **member)["clicks"]["delivered"] == 2
        read = subprocess.run(["cat", rejected], capture_output=True, text=True, check=True, **member)
        assert json.loads(read.stdout)["record"] == record(1)
        fake.faults([])
        code, said, complaints = ctl("requeue", rejected, conf=conf, **member)
        assert (code, complaints) == (0, ""), said
        wait_for(lambda: record(1) in lines_of(fake), what="the event that was rejected")
        assert not rejected.exists()

        code, _, complaints = ctl("status", conf=conf, **stranger)
        assert code != 0 and "Permission denied" in complaints
        assert httpd.post(event(3)).status == 200
        wait_for(lambda: record(3) in lines_of(fake), what="one more")
        owners = {path.stat().st_uid for path in httpd.queues.glob("clicks.queue*")}
        assert owners == {pwd.getpwnam(httpd_user()).pw_uid}
