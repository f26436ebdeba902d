"""What wrong configuration says, and what the server makes of its folders, disks and queue files at start."""
# SPDX-License-Identifier: Apache-2.0

import grp
import os
import pwd
import re
import shutil
import stat
import subprocess

import pytest
from cases import EVENT, event, record, refusal
from server import (FILE_STREAM, HEADERS, TOP, Httpd, firehose_stream, give_to_user, httpd_user, public_folder,
                    wait_for)
from tokens import hs256, keys, payload, token

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
                    "region, endpoint, profile, credentials, role, external_id, concurrency, aggregate, timeout, ca")
FILE_OPTIONS = ("is no option of a file stream: write name=value, with one of queue, linger, delimiter, ack, path, "
                "roll, interval")

# (line, the value that is named, what to write)
SERVER_LINES = [
    ("ClickstreamQueueDir", "", "an argument is missing"),
    ("ClickstreamQueueDir", "", "(ClickstreamQueueDir directory)"),
    # To httpd an empty first argument is the end of them.
    ('ClickstreamQueueDir ""', "", "an argument is missing"),
    ("ClickstreamQueueDir queues", '"queues"', ABSOLUTE),
    ("ClickstreamQueueGroup no-such-group", '"no-such-group"', "write one that getent group shows"),
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
    (FIREHOSE + "role=clicks", "role=clicks", "write its ARN, such as role=arn:aws:iam::123456789012:role/NAME"),
    (FIREHOSE + "external_id=x", "external_id=", "belongs to a role: write role=, too"),
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
    ("ClickstreamRejectTo", "", "an argument is missing"),
    ("ClickstreamRejectTo a/b", '"a/b"', "is no stream's name: 1 to 64 letters, digits, '_', '-' and '.'"),
    ("ClickstreamRejectTo clicks more", '"more"', "is one argument too many"),
    (f"ClickstreamClient {'x' * 257}", "257 bytes", "is not possible here: at most 256"),
    ("ClickstreamClient a b", '"b"', "is not possible here: write secret=file or key=file; one client a line"),
    ("ClickstreamClient a secret=app.secret", '"app.secret"', "is not an absolute path: write it from the root"),
    ("ClickstreamClient a key=", '""', "is not an absolute path: write it from the root"),
    ("ClickstreamClient a secret=/nowhere/s", "/nowhere/s", "cannot be read: No such file or directory: write the path"),
    ("ClickstreamClient a key=/nowhere/k", "/nowhere/k", "cannot be read: No such file or directory: write the path"),
    ("ClickstreamClient a secret=/tmp", "/tmp", "is not a regular file: write the path of one"),
    ("ClickstreamClient a secret=/dev/null", "/dev/null", "is not a regular file: write the path of one"),
    ("ClickstreamClient a secret=@KEYS@/app.secret key=@KEYS@/ec.pem", "ec.pem",
     "is one argument too many: write one client a line, with one key"),
    ("ClickstreamClient a secret=@KEYS@/ec.pem", "ec.pem", "holds PEM, which is no secret: write key="),
    ("ClickstreamClient a key=@KEYS@/app.secret", "app.secret",
     "holds no PEM: write a PUBLIC KEY or a CERTIFICATE"),
    ("ClickstreamClient a key=@KEYS@/ec.private", "ec.private",
     "holds a private key, which belongs to the client alone: write the public key: openssl pkey -in"),
    ("ClickstreamAuth basic", '"basic"', "is not one of none|bearer|jwt"),
    ("ClickstreamAuth jwt bearer", '"bearer"', "is one argument too many"),
    ("ClickstreamPixel", "", "an argument is missing"),
    ("ClickstreamPixel yes", '"yes"', "is not one of on|off"),
    ("ClickstreamTag", "", "an argument is missing"),
    ("ClickstreamTag LIKE_WOOD", "", "the type is missing: write one of any|string|integer"),
    ("ClickstreamTag LIKE_WOOD int", '"int"', "is no type: write one of any|string|integer"),
    ("ClickstreamTag LIKE_WOOD integer 0-1000", '"0-1000"', "is no range: write min..max, such as 0..1000"),
    ("ClickstreamTag LIKE_WOOD integer ..", '".."', "is no range: write min..max"),
    ("ClickstreamTag LIKE_WOOD integer 3..2", '"3..2"', "is no range: write min..max"),
    ("ClickstreamTag LIKE_WOOD integer a..b", '"a..b"', "is no range: write min..max"),
    ("ClickstreamTag LIKE_WOOD integer 0x1..0x2", '"0x1..0x2"', "is no range: write min..max"),
    ("ClickstreamTag LIKE_WOOD integer 0..inf", '"0..inf"', "is no range: write min..max"),
    ("ClickstreamTag LIKE_WOOD number 0..9007199254740992", '"0..9007199254740992"', "is no range: write min..max"),
    ("ClickstreamTag LIKE_WOOD integer 0 1000", '"1000"', "is one argument too many: write the range as min..max"),
    *((f"ClickstreamTag A {kind} 0..1", '"0..1"', "is one argument too many: only a string, integer, number, object or "
       "array has a range") for kind in ("any", "boolean", "language", "geo")),
    ("ClickstreamTag A any\nClickstreamTag A string", "tag A", "there is a line for the tag A already"),
    ("ClickstreamUnknownTags", "", "an argument is missing"),
    ("ClickstreamUnknownTags refuse", '"refuse"', "is not one of accept|reject"),
    ("ClickstreamClientIP", "", "an argument is missing"),
    ("ClickstreamClientIP on", '"on"', "is not one of forwarded|remote|anonymized|off"),
    ("ClickstreamAdd", "", "an argument is missing"),
    ("ClickstreamAdd event_id time", '"time"', "is not one of none|event_id|received_at"),
    ("ClickstreamField", "", "an argument is missing"),
    ("ClickstreamField country", "", 'the expression is missing: write it in quotes, such as "%{ENV:MM_COUNTRY_CODE}"'),
    ("ClickstreamField country a b", '"b"', "is one argument too many: put quotes around the whole expression"),
    ('ClickstreamField "a b" x', '"a b"', "is no field's name: 1 to 64 letters, digits, '_', '-' and '.'"),
    (f"ClickstreamField {'x' * 65} x", "x" * 65, "is no field's name"),
    *((f"ClickstreamField {name} x", name, "is a name of the server's own: write another one")
      for name in ("client_id", "client_ip", "user_agent", "visitor_id", "event_id", "received_at")),
    ("ClickstreamField a x\nClickstreamField a y", "field a", "there is a field a already: give this one another name"),
    ('ClickstreamField a "%{ENV:"', '"%{ENV:"', "is no expression of httpd's: "),
    ('ClickstreamField a "%{nothing:x}"', '"%{nothing:x}"', "is no expression of httpd's: "),
    ('ClickstreamField a "%{NO_VARIABLE}"', '"%{NO_VARIABLE}"', "is no expression of httpd's: "),
    ("ClickstreamVisitorCookie", "", "an argument is missing"),
    ('ClickstreamVisitorCookie "a b"', '"a b"', "is no cookie's name: write letters, digits, '_' and '-'"),
    ("ClickstreamVisitorCookie a=b", '"a=b"', "is no cookie's name"),
    ("ClickstreamVisitorCookie v 395d", '"395d"', "is not possible here: write max-age=395d or domain=example.com"),
    ("ClickstreamVisitorCookie v max-age=395", 'max-age=: "395"', TIME_FORM + "1s to 400d"),
    ("ClickstreamVisitorCookie v max-age=401d", 'max-age=: "401d"', TIME_FORM + "1s to 400d"),
    ("ClickstreamVisitorCookie v max-age=1ms", 'max-age=: "1ms"', TIME_FORM + "1s to 400d"),
    ("ClickstreamVisitorCookie v domain=", '"domain="', "is no domain: write domain=example.com"),
    ("ClickstreamVisitorCookie v 'domain=a; Path=/'", '"domain=a; Path=/"', "is no domain: write domain=example.com"),
    ("ClickstreamVisitorCookie __Host-v domain=example.com", "__Host-v",
     "browsers keep no cookie __Host-v with a domain: leave domain= out, or write a name without __Host-"),
    ("ClickstreamOptOut", "", "an argument is missing"),
    ("ClickstreamOptOut yes", '"yes"', "is not one of ignore|anonymize|drop"),
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


def configure_with_keys(server, *parts):
    server.configure(*(part.replace("@KEYS@", str(keys())) for part in parts))


def check_wrong(server, line, *texts):
    code, said = server.check()
    assert code != 0
    for text in (line.split()[0] + ":", *texts):
        assert text in said


@pytest.mark.parametrize("line, value, advice", SERVER_LINES, ids=[row[0][:60] for row in SERVER_LINES])
def test_wrong_line(server, line, value, advice):
    server.configure(line)
    check_wrong(server, line, value, advice)


@pytest.mark.parametrize("line, value, advice", LOCATION_LINES, ids=[row[0][:60] for row in LOCATION_LINES])
def test_wrong_line_of_a_location(server, line, value, advice):
    configure_with_keys(server, FILE_STREAM, line)
    check_wrong(server, line, value, advice)


# --- lines that do not fit together: (directives, location, what is said) ---

NO_SUCH = "there is no such stream: declare it with ClickstreamStream, or write one of "
JWT = "ClickstreamAuth jwt"
SECRET = "secret=@KEYS@/app.secret"
NO_CLIENT = ("ClickstreamAuth jwt: there is no client whose tokens could be verified: write ClickstreamClient id "
             "secret=file, or key=file")
NO_KEY = ("ClickstreamAuth jwt: the tokens of client {} cannot be verified: write ClickstreamClient {} secret=file, or "
          "key=file")
NO_TAGS = ("ClickstreamUnknownTags reject: no tag is known, so nothing could be collected: write ClickstreamTag name any "
           "for each")
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
    "refused events to an unknown stream": (FILE_STREAM, "ClickstreamRejectTo refusd",
                                            "ClickstreamRejectTo refusd: " + NO_SUCH + "clicks"),
    "jwt without clients": (FILE_STREAM, JWT, NO_CLIENT),
    "jwt with a client without a key": (FILE_STREAM, f"{JWT}\nClickstreamClient app {SECRET}\nClickstreamClient web",
                                        NO_KEY.format("web", "web")),
    "jwt with a client of an outer section": (f"{FILE_STREAM}\nClickstreamClient outer", JWT,
                                              NO_KEY.format("outer", "outer")),
    "jwt of an outer section": (f"{FILE_STREAM}\n{JWT}\nClickstreamClient app {SECRET}", "ClickstreamClient inner",
                                NO_KEY.format("inner", "inner")),
    "jwt of an outer section, without clients": (f"{FILE_STREAM}\n{JWT}", "", NO_CLIENT),
    "jwt in a virtual host": (
        f'{FILE_STREAM}\n<VirtualHost *:*>\n{JWT}\n<Location "/a/">\nSetHandler clickstream\n</Location>\n'
        "</VirtualHost>", "", NO_CLIENT),
    "jwt with the clients of another virtual host": (
        f'{FILE_STREAM}\n<VirtualHost *:*>\nClickstreamClient app {SECRET}\n</VirtualHost>\n<VirtualHost *:*>\n{JWT}\n'
        '<Location "/a/">\nSetHandler clickstream\n</Location>\n</VirtualHost>', "", NO_CLIENT),
    "jwt where another section sets something else": (
        f'{FILE_STREAM}\n<Location "/">\nClickstreamTag A any\nClickstreamAuth none\n</Location>', JWT, NO_CLIENT),
    "unknown tags where another section has the clients": (
        f'{FILE_STREAM}\n<Location "/">\nClickstreamClient app {SECRET}\n</Location>',
        f"{JWT}\nClickstreamUnknownTags reject", NO_TAGS),
    "unknown tags without known ones": (FILE_STREAM, "ClickstreamUnknownTags reject", NO_TAGS),
    "unknown tags of an outer section": (f"{FILE_STREAM}\nClickstreamUnknownTags reject", "ClickstreamPixel on", NO_TAGS),
    "handler without a stream": ("", "", "SetHandler clickstream: there is no stream to deliver to: write "
                                 "ClickstreamStream, such as ClickstreamStream clicks firehose region=us-east-1"),
    "stream without a folder": (
        f"# no ClickstreamQueueDir\n{FILE_STREAM}", "", "ClickstreamQueueDir is missing: write the folder for the "
        "queue of stream clicks, such as ClickstreamQueueDir /var/lib/clickstream"),
    "stream in a Location": (FILE_STREAM, FILE, "ClickstreamStream not allowed in <Location> context"),
    "folder in a Location": (FILE_STREAM, "ClickstreamQueueDir /tmp",
                             "ClickstreamQueueDir not allowed in <Location> context"),
    "a directive for one method": (FILE_STREAM, "<Limit GET>\nClickstreamAuth none\n</Limit>",
                                   "ClickstreamAuth is not possible in <Limit> and <LimitExcept>: write it in a "
                                   "section such as <If \"%{REQUEST_METHOD} == 'GET'\">"),
    "a directive for all other methods": (FILE_STREAM, "<LimitExcept POST>\nClickstreamClientIP off\n</LimitExcept>",
                                          "ClickstreamClientIP is not possible in <Limit> and <LimitExcept>"),
    "option for a directive": (FILE_STREAM + "\nClickstreamLinger 1s", "", "Invalid command 'ClickstreamLinger'"),
}


@pytest.mark.parametrize("directives, location, sentence", TOGETHER.values(), ids=TOGETHER)
def test_lines_that_do_not_fit_together(server, directives, location, sentence):
    configure_with_keys(server, directives, location)
    code, said = server.check()
    assert code != 0
    assert sentence in said


# The line that is named, among others.
PLACES = {
    "ClickstreamDeliverTo other": "ClickstreamDeliverTo other: ",
    "ClickstreamRejectTo other": "ClickstreamRejectTo other: ",
    "SetHandler clickstream\nClickstreamAuth jwt": NO_CLIENT,
    "SetHandler clickstream\nClickstreamUnknownTags reject": NO_TAGS,
}


@pytest.mark.parametrize("lines", PLACES)
def test_the_place_of_the_line_is_named(server, lines):
    server.configure(FILE_STREAM, f'</Location>\n<Location "/other/">\n{lines}')
    written = (server.root / "httpd.conf").read_text().splitlines()
    number = len(written) - written[::-1].index(lines.splitlines()[0])
    assert f"{server.root}/httpd.conf, line {number}: {PLACES[lines]}" in server.check()[1]


def test_the_place_of_a_wrong_expression_is_named(server):
    line = 'ClickstreamField a "%{NO_VARIABLE}"'
    server.configure(FILE_STREAM, line)
    number = (server.root / "httpd.conf").read_text().splitlines().index(line) + 1
    assert f"Syntax error on line {number} of {server.root}/httpd.conf:" in server.check()[1]


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
    "all that verifies, asks and adds": (
        FILE + "\nClickstreamStream refused file path=/tmp/y",
        f"{JWT}\nClickstreamClient app {SECRET}\nClickstreamClient rsa key=@KEYS@/rsa.pem\n"
        "ClickstreamClient cert KEY=@KEYS@/cert.pem\nClickstreamRejectTo refused\nClickstreamPixel ON\n"
        "ClickstreamTag A any\nClickstreamTag B String 1..5\nClickstreamTag C integer ..-1\n"
        "ClickstreamTag D number -0.5..9007199254740991\nClickstreamTag E object 1..\nClickstreamTag F array 0..0\n"
        "ClickstreamTag G language\nClickstreamTag H geo\nClickstreamTag I boolean\nClickstreamUnknownTags reject\n"
        "ClickstreamClientIP anonymized\nClickstreamAdd event_id\nClickstreamAdd Received_At\n"
        "ClickstreamField a %{HTTP_HOST}\nClickstreamField b '%{tolower:%{HTTP:X-A}}'\n"
        "ClickstreamVisitorCookie v max-age=400d domain=.example.com\nClickstreamOptOut drop"),
    "ClickstreamAdd none": (FILE, "ClickstreamAdd none"),
    "keys that nobody asks for": (FILE, f"ClickstreamClient app {SECRET}\nClickstreamClient web"),
    "jwt with the clients of an outer section": (f"{FILE}\nClickstreamClient app {SECRET}", JWT),
    "jwt where nothing collects": (f'{FILE}\n<Location "/a/">\n{JWT}\n</Location>', ""),
    "unknown tags with the tags of an outer section": (f"{FILE}\nClickstreamTag A any", "ClickstreamUnknownTags reject"),
}


@pytest.mark.parametrize("directives, location", GOOD.values(), ids=GOOD)
def test_good_lines(server, directives, location):
    configure_with_keys(server, directives, location)
    assert server.check() == (0, "Syntax OK\n")


# --- what httpd puts together for a URL, out of sections that are not around each other ---

APP = f"ClickstreamClient touchwood-app {SECRET}"
REJECT = "ClickstreamUnknownTags reject"
TAG = "ClickstreamTag LIKE_WOOD any"


def location(lines, path="/poc-kstream/"):
    return f'<Location "{path}">\n{lines}\n</Location>\n'


def virtual_host(lines):
    return f"<VirtualHost *:*>\nServerName localhost\n{lines}\n</VirtualHost>\n"


def later(lines):
    """In the section with the handler, one more of the same behind it."""
    return f'\n</Location>\n<Location "/poc-kstream/">\n{lines}'


# (directives, lines beside the handler, what is missing there, what is refused)
FORGED, OTHER_TAG = (401, "forged", EVENT), (400, "verifies", EVENT.replace("LIKE_WOOD", "OTHER"))
SPLIT = {
    "clients of a shorter path": (location(APP, "/"), JWT, NO_CLIENT, FORGED),
    "clients of the same path, before": (location(APP), JWT, NO_CLIENT, FORGED),
    "clients of the same path, behind": ("", JWT + later(APP), NO_CLIENT, FORGED),
    "clients of an inner section": ("", f"{JWT}\n<If true>\n{APP}\n</If>", NO_CLIENT, FORGED),
    "clients of a virtual host": (virtual_host(APP), JWT, NO_CLIENT, FORGED),
    "clients of the main server": (location(APP, "/") + virtual_host(location(f"SetHandler clickstream\n{JWT}")), "",
                                   NO_CLIENT, FORGED),
    "clients in the place of others": ("ClickstreamClient web\n", JWT + later(APP), NO_KEY.format("web", "web"), FORGED),
    "jwt beside the clients": ("", later(f"{JWT}\n{APP}"), None, FORGED),
    "tags of a shorter path": (location(TAG, "/"), REJECT, NO_TAGS, OTHER_TAG),
    "tags of the same path, behind": ("", REJECT + later(TAG), NO_TAGS, OTHER_TAG),
    "tags and clients": (location(TAG, "/"), f"{REJECT}\n{JWT}" + later(APP), NO_CLIENT, OTHER_TAG),
    # What it is warned of.
    "clients of another path": (location(APP, "/other/"), JWT, NO_CLIENT, (401, "verifies", EVENT)),
    "tags of another path": (location(TAG, "/other/"), REJECT, NO_TAGS, (400, "verifies", EVENT)),
}


@pytest.mark.parametrize("directives, beside, missing, refused", SPLIT.values(), ids=SPLIT)
def test_what_another_section_may_bring(server, directives, beside, missing, refused):
    tokens = {"verifies": token({"alg": "HS256"}, payload(), hs256), "forged": HEADERS["Authorization"].split()[1]}

    def status(bearer, text):
        return server.post(text, headers={**HEADERS, "Authorization": f"Bearer {tokens[bearer]}"}).status

    configure_with_keys(server, directives + FILE_STREAM, beside)
    code, said = server.check()
    assert (code, said.splitlines()[-1]) == (0, "Syntax OK")
    warnings = re.findall(r"httpd\.conf, line \d+: (.*)", said)
    assert warnings == ([f"{missing}, unless another section for the same URL does"] if missing else [])
    server.expected_errors = warnings
    server.start()
    expected, bearer, text = refused
    assert status(bearer, text) == expected
    if (bearer, text) != ("verifies", EVENT):
        assert status("verifies", EVENT) == 200
    server.stop()
    server.check_log()


BY_METHOD = "ClickstreamPixel on\n<If \"%{REQUEST_METHOD} == 'GET'\">\nClickstreamAuth none\n</If>"


def test_what_holds_for_one_method_alone():
    """As the page and the message say, which a <Limit> does not do: no POST gets by without a token."""
    with Httpd(FILE_STREAM, BY_METHOD) as server:
        assert server.post(EVENT, headers={**HEADERS, "Authorization": None}).status == 401
        assert server.request("GET", headers={}, path="/poc-kstream/?client_id=a").status == 400
        assert server.request("GET", headers={}).status == 403


# --- .htaccess ---

# All that there are.
DIRECTIVES = re.findall(r'"(Clickstream\w+)"', (TOP / "mod_clickstream/common/settings.h").read_text())
ALLOWED = f'<Directory "@ROOT@/htdocs">\nAllowOverride All\nAllowOverrideList {" ".join(DIRECTIVES)}\n</Directory>\n'


def write_htaccess(server, lines):
    folder = server.root / "htdocs/poc-kstream/inner"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".htaccess").write_text(lines + "\n")


def test_no_directive_in_htaccess():
    """Only the folder's own requests fail; what is said is the same for the first request as for those that follow."""
    with Httpd(f'{ALLOWED}ClickstreamQueueDir "@ROOT@/queues"\n{FILE_STREAM}') as server:
        server.expected_errors = ["/.htaccess: "]
        for name in DIRECTIVES:
            write_htaccess(server, f"{name} none")
            for headers in (HEADERS, {**HEADERS, "Authorization": ""}):
                assert server.post(EVENT, path="/poc-kstream/inner/", headers=headers).status == 500
                assert server.post(EVENT, headers=headers).status == (200 if headers is HEADERS else 401)
        said = re.findall(r"poc-kstream/inner/\.htaccess: (\w+) (.*)", server.log())
    here = ("is not possible in .htaccess: write it in the server's configuration, such as in <Location> or "
            "<Directory>")
    of_the_server = ("ClickstreamQueueDir", "ClickstreamQueueGroup", "ClickstreamStream")
    assert said == [(name, "not allowed here" if name in of_the_server else here) for name in DIRECTIVES for _ in range(2)]


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


@AS_ROOT
def test_group_that_the_user_is_no_member_of(server):
    group = next(entry for entry in grp.getgrall() if entry.gr_gid != pwd.getpwnam(httpd_user()).pw_gid
                 and httpd_user() not in entry.gr_mem)
    server.configure(f"ClickstreamQueueGroup {group.gr_name}\n{FILE_STREAM}")
    check_no_start(server, f"ClickstreamQueueGroup {group.gr_name}: httpd's user {httpd_user()} is no member of it, and "
                   f"cannot give it files: usermod -aG {group.gr_name} {httpd_user()}")


def test_folder_and_files_of_before_are_given_to_the_group():
    """What was there, and what is made; without the directive they are the user's alone again only by hand."""
    with Httpd(FILE_STREAM) as server:
        wait_for(queue_file(server).exists, what="a child to make the queue")
        group = grp.getgrgid(queue_file(server).stat().st_gid)
        server.stop()
        server.configure(f"ClickstreamQueueGroup {group.gr_name}\n"
                         + FILE_STREAM + "\n" + FILE_STREAM.replace("clicks", "more").replace("objects", "others"),
                         "ClickstreamDeliverTo clicks")
        server.start()
        for path, mode in ((server.queues, "drwxrwx---"), (queue_file(server), "-rw-rw----"),
                           (queue_file(server).with_name("more.queue"), "-rw-rw----")):
            wait_for(lambda path=path, mode=mode: path.exists() and stat.filemode(path.stat().st_mode) == mode,
                     what=f"{path} to be {mode}")
            assert path.stat().st_gid == group.gr_gid


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
    server.expected_errors = ["delivery has failed"]
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
