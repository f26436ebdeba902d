"""Proves the fake Firehose: that it takes what AWS takes and refuses what AWS refuses.

The requests are real ones, signed by botocore and sent over TLS; each can be bent
before or after it is signed. A fake that cannot refuse would prove nothing.
"""
# SPDX-License-Identifier: Apache-2.0

import base64
import contextlib
import datetime
import email.utils
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

import botocore.config
import botocore.exceptions
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fake_firehose import JSON_TYPE, MAX_BODY, MAX_RECORD, TARGET, FakeFirehose, wait_for

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "secret/with+signs", "session-token"
EVENT = b'{"event":"click"}\n'
CUT = (ConnectionError, ssl.SSLError, http.client.HTTPException)
KEYS = {
    KEY: {"secret": SECRET, "token": None, "expired": False},
    "AKIDSESSION": {"secret": SECRET, "token": TOKEN, "expired": False},
    "AKIDEXPIRED": {"secret": SECRET, "token": None, "expired": True},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with FakeFirehose(tmp_path_factory.mktemp("fake"), f"{KEY}:{SECRET}") as server:
        server.set_credentials(KEYS)
        yield server


@pytest.fixture
def fake(running):
    running.reset()
    return running


def batch_of(*entries, stream="clicks"):
    return json.dumps({"DeliveryStreamName": stream, "Records": entries}).encode()


def batch(*records, stream="clicks"):
    return batch_of(*({"Data": base64.b64encode(data).decode()} for data in records), stream=stream)


def padded(size):
    """A good batch whose body has exactly this size: JSON may have white space."""
    return batch(EVENT).ljust(size)


def stamp(minutes):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return when.strftime("%Y%m%dT%H%M%SZ")


def build(
    fake, body, key=KEY, secret=SECRET, token=None, minutes=0, service="firehose", region="us-east-1",
    unsigned=(), after=lambda request: None, **bent,
):
    """A signed request; `unsigned` headers are added, and `after` changes it, after the signature."""
    headers = {"Host": f"localhost:{fake.port}", "Content-Type": JSON_TYPE, "X-Amz-Target": TARGET}
    headers["X-Amz-Date"] = stamp(minutes)
    if token:
        headers["X-Amz-Security-Token"] = token
    headers.update({name.replace("_", "-"): value for name, value in bent.items()})
    signed = {name: value for name, value in headers.items() if name not in unsigned}
    request = AWSRequest("POST", fake.url + "/", signed, body)
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials(key, secret), service, region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
        f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(request))}, Signature={signature}"
    )
    for name in unsigned:
        request.headers[name] = headers[name]
    after(request)
    return request


@contextlib.contextmanager
def connect(fake):
    tls = ssl.create_default_context(cafile=fake.ca)
    with contextlib.closing(http.client.HTTPSConnection("localhost", fake.port, timeout=10, context=tls)) as connection:
        yield connection


def exchange(connection, request):
    path = request.url[request.url.index("/", len("https://")) :]
    connection.request(request.method, path, request.data, dict(request.headers.items()))
    response = connection.getresponse()
    return response, response.read()


def send(fake, body=batch(EVENT), **bends):
    with connect(fake) as connection:
        response, answer = exchange(connection, build(fake, body, **bends))
        return response, json.loads(answer)


def setter(name, value):
    return lambda request: setattr(request, name, value)


def header(name, value):
    def change(request):
        del request.headers[name]
        if value is not None:
            request.headers[name] = value

    return change


def authorization(old, new):
    return lambda request: header("Authorization", request.headers["Authorization"].replace(old, new))(request)


def sha(data):
    return hashlib.sha256(data).hexdigest()


GOOD = {
    "one record": (batch(EVENT), {}),
    "an empty record": (batch(b""), {}),
    "500 records": (batch(*[EVENT] * 500), {}),
    "not UTF-8": (batch(b"\xff\xfe"), {}),
    "a record of 1,024,000": (batch(b"x" * MAX_RECORD), {}),
    "a body of 4 MiB": (padded(MAX_BODY), {}),
    "a session token": (batch(EVENT), {"key": "AKIDSESSION", "token": TOKEN}),
    "a clock that is 14 minutes late": (batch(EVENT), {"minutes": -14}),
    "a clock that is 14 minutes early": (batch(EVENT), {"minutes": 14}),
    "the hash of the body": (batch(EVENT), {"X_Amz_Content_SHA256": sha(batch(EVENT))}),
    "white space in a header": (batch(EVENT), {"X_Amz_More": " a   b "}),
    "an unsigned header": (batch(EVENT), {"User_Agent": "test"}),
}


@pytest.mark.parametrize("body, bends", GOOD.values(), ids=GOOD)
def test_takes(fake, body, bends):
    response, answer = send(fake, body, **bends)
    records = [base64.b64decode(record["Data"]) for record in json.loads(body)["Records"]]
    assert response.status == 200
    assert response.headers["Content-Type"] == JSON_TYPE
    assert response.headers["x-amzn-RequestId"] and response.headers["Date"]
    assert (answer["FailedPutCount"], answer["Encrypted"]) == (0, False)
    assert len({entry["RecordId"] for entry in answer["RequestResponses"]}) == len(records)
    assert fake.records() == records
    assert fake.stats()["violations"] == []


def test_takes_from_the_real_client(fake, monkeypatch):
    """The signer of these tests is close to the checker; this is the whole SDK."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("NO_PROXY", "localhost")
    client = botocore.session.get_session().create_client(
        "firehose", "us-east-1", endpoint_url=fake.url, verify=fake.ca, aws_access_key_id="AKIDSESSION",
        aws_secret_access_key=SECRET, aws_session_token=TOKEN,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )
    asked = {"DeliveryStreamName": "clicks", "Records": [{"Data": EVENT}]}
    assert client.put_record_batch(**asked)["FailedPutCount"] == 0
    assert fake.events() == [{"event": "click"}]
    fake.faults([{"kind": "throttle"}])
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client.put_record_batch(**asked)
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailableException"


def test_a_listed_user_agent_is_checked(fake):
    """botocore signs no User-Agent, AWS checks whatever is listed: here a lie about it."""
    response, answer = send(fake, User_Agent="test", after=authorization("x-amz-target,", "x-amz-target;user-agent,"))
    assert (response.status, answer["__type"]) == (400, "InvalidSignatureException")
    assert "user-agent:test" in answer["message"]


def test_two_requests_on_one_connection(fake):
    with connect(fake) as connection:
        for _ in range(2):
            response, _ = exchange(connection, build(fake, batch(EVENT)))
            assert response.status == 200
        exchange(connection, build(fake, batch(EVENT), secret="wrong"))
        assert exchange(connection, build(fake, batch(EVENT)))[0].status == 200
    stats = fake.stats()
    assert (stats["connections"], stats["requests"], stats["records_taken"]) == (1, 4, 3)


SIGNED = "InvalidSignatureException"
UNKNOWN = "UnrecognizedClientException"
NO_OPERATION = "UnknownOperationException"
REFUSED = {
    "wrong secret": ({"secret": "wrong"}, SIGNED),
    "other region": ({"region": "eu-west-1"}, SIGNED),
    "other service": ({"service": "kinesis"}, SIGNED),
    "changed body": ({"after": setter("data", batch(EVENT + EVENT))}, SIGNED),
    "changed header": ({"X_Amz_More": "a", "after": header("X-Amz-More", "b")}, SIGNED),
    "changed date": ({"after": lambda request: header("X-Amz-Date", stamp(5))(request)}, SIGNED),
    "wrong hash of the body": ({"X_Amz_Content_SHA256": sha(b"")}, SIGNED),
    "a body that says it is unsigned": ({"X_Amz_Content_SHA256": "UNSIGNED-PAYLOAD"}, SIGNED),
    "old date": ({"minutes": -16}, SIGNED),
    "early date": ({"minutes": 16}, SIGNED),
    "date of another day": ({"X_Amz_Date": "20200101T000000Z"}, SIGNED),
    "no date at all": ({"after": header("X-Amz-Date", "today")}, "IncompleteSignatureException"),
    "claimed region": ({"after": authorization("/us-east-1/", "/eu-west-1/")}, SIGNED),
    "signed header that is gone": ({"X_Amz_More": "a", "after": header("X-Amz-More", None)}, SIGNED),
    "signed date that is gone": ({"after": header("X-Amz-Date", None)}, SIGNED),
    "unknown key": ({"key": "AKIDNOBODY"}, UNKNOWN),
    "no session token": ({"key": "AKIDSESSION"}, UNKNOWN),
    "wrong session token": ({"key": "AKIDSESSION", "token": "wrong"}, UNKNOWN),
    "token for a key without": ({"token": TOKEN}, UNKNOWN),
    "expired key": ({"key": "AKIDEXPIRED"}, "ExpiredTokenException"),
    "no authorization": ({"after": header("Authorization", None)}, "MissingAuthenticationTokenException"),
    "other authorization": ({"after": header("Authorization", "Basic eDp5")}, "IncompleteSignatureException"),
    "unknown stream": ({"body": batch(EVENT, stream="others")}, "ResourceNotFoundException"),
}


# These are faults of the client itself, and so are on the list of violations, too.
INVALID, NO_JSON = "ValidationException", "SerializationException"
VIOLATIONS = {
    "changed target": ({"after": header("X-Amz-Target", TARGET + "es")}, NO_OPERATION),
    "unknown operation": ({"X_Amz_Target": "Firehose_20150804.PutRecord"}, NO_OPERATION),
    "other type": ({"Content_Type": "application/json"}, NO_OPERATION),
    "GET": ({"after": setter("method", "GET")}, NO_OPERATION),
    "other path": ({"after": lambda request: setattr(request, "url", request.url + "x")}, NO_OPERATION),
    "4 MiB and 1": ({"body": padded(MAX_BODY + 1)}, "InvalidArgumentException"),
    "no record": ({"body": batch()}, INVALID),
    "501 records": ({"body": batch(*[EVENT] * 501)}, INVALID),
    "a record of 1,024,001": ({"body": batch(b"x" * (MAX_RECORD + 1))}, INVALID),
    "a name of 65": ({"body": batch(EVENT, stream="x" * 65)}, INVALID),
    "a name with a slash": ({"body": batch(EVENT, stream="a/b")}, INVALID),
    "an empty name": ({"body": batch(EVENT, stream="")}, INVALID),
    "no name": ({"body": b'{"Records":[{"Data":""}]}'}, INVALID),
    "no data": ({"body": batch_of({})}, INVALID),
    "unknown member": ({"body": b'{"DeliveryStreamName":"clicks","Records":[{"Data":""}],"More":1}'}, INVALID),
    "unknown member of a record": ({"body": batch_of({"Data": "", "PartitionKey": "1"})}, INVALID),
    "data that is a number": ({"body": batch_of({"Data": 1})}, INVALID),
    "a body that is a list": ({"body": b"[]"}, INVALID),
    "base64 with a line break": ({"body": batch_of({"Data": "YWJj\nYWJj"})}, NO_JSON),
    "base64 with other signs": ({"body": batch_of({"Data": "YWJj....YWJj"})}, NO_JSON),
    "base64 for URLs": ({"body": batch_of({"Data": "_-_-"})}, NO_JSON),
    "base64 without padding": ({"body": batch_of({"Data": "YQ"})}, NO_JSON),
    "base64 with too much padding": ({"body": batch_of({"Data": "YWJj="})}, NO_JSON),
    "base64 with bits after the end": ({"body": batch_of({"Data": "YR=="})}, NO_JSON),
    "base64 that is not ASCII": ({"body": batch_of({"Data": "é"})}, NO_JSON),
    "cut JSON": ({"body": batch(EVENT)[:-1]}, NO_JSON),
    "more after the JSON": ({"body": batch(EVENT) + b"{}"}, NO_JSON),
    "JSON in UTF-16": ({"body": batch(EVENT).decode().encode("utf-16")}, NO_JSON),
    "empty body": ({"body": b""}, NO_JSON),
}


@pytest.mark.parametrize("bends, error", {**REFUSED, **VIOLATIONS}.values(), ids={**REFUSED, **VIOLATIONS})
def test_refuses(fake, bends, error):
    response, answer = send(fake, **bends)
    assert (response.status, answer["__type"]) == (400, error)
    assert answer["message"]
    stats = fake.stats()
    is_violation = any(row[0] is bends for row in VIOLATIONS.values())
    assert len(stats["violations"]) == is_violation, stats["violations"]
    assert stats["by_result"] == {error: 1}
    assert fake.records() == [] and stats["records_taken"] == 0


MUST_BE_SIGNED = {
    "host": {"after": authorization("host;", "")},
    "x-amz-target": {"unsigned": ["X-Amz-Target"]},
    "x-amz-date": {"unsigned": ["X-Amz-Date"]},
    "content-type": {"unsigned": ["Content-Type"]},
    "x-amz-security-token": {"key": "AKIDSESSION", "token": TOKEN, "unsigned": ["X-Amz-Security-Token"]},
}


@pytest.mark.parametrize("name, bends", MUST_BE_SIGNED.items())
def test_names_the_header_that_is_not_signed(fake, name, bends):
    response, answer = send(fake, **bends)
    assert (response.status, answer["__type"]) == (400, SIGNED)
    assert answer["message"].startswith(f"'{name}' must be a 'SignedHeader'")


def test_says_that_a_signature_has_expired(fake):
    assert send(fake, minutes=-16)[1]["message"].startswith("Signature expired: ")


def test_refuses_a_request_without_length(fake):
    with connect(fake) as connection:
        request = build(fake, batch(EVENT), Transfer_Encoding="chunked")
        response, _ = exchange(connection, request)
        assert response.status == 411
    assert len(fake.stats()["violations"]) == 1


REFUSING = {
    "throttle": ({"kind": "throttle"}, 503, "ServiceUnavailableException"),
    "invalid": ({"kind": "invalid", "matching": "click"}, 400, "ValidationException"),
    "status": ({"kind": "status"}, 500, "InternalFailure"),
    "other status": ({"kind": "status", "code": 413, "error_type": "TooLarge"}, 413, "TooLarge"),
    "refuse_signature": ({"kind": "refuse_signature"}, 400, "InvalidSignatureException"),
    "expired": ({"kind": "expired"}, 400, "ExpiredTokenException"),
}


@pytest.mark.parametrize("fault, status, error", REFUSING.values(), ids=REFUSING)
def test_refusing_fault(fake, fault, status, error):
    fake.faults([{**fault, "count": 1}])
    response, answer = send(fake)
    assert (response.status, answer["__type"]) == (status, error)
    assert fake.records() == [] and fake.failed() == [sha(EVENT)]
    assert fake.stats()["failed_then"] == {"taken": 0, "missing": 1}
    assert send(fake)[0].status == 200, "count has ended it"
    stats = fake.stats()
    assert stats["by_result"] == {fault["kind"]: 1, "ok": 1}
    assert (stats["records_taken"], stats["records_failed"], stats["violations"]) == (1, 1, [])
    assert stats["failed_then"] == {"taken": 1, "missing": 0}
    assert fake.faults()[0]["hits"] == 1


@pytest.mark.parametrize("kind, error", [("throttle", SIGNED), ("expired", "ExpiredTokenException")])
def test_what_comes_first_for_a_bad_request(fake, kind, error):
    """AWS throttles whom it knows; what is said to be wrong with the signature is said to anyone."""
    fake.faults([{"kind": kind}])
    assert send(fake, secret="wrong")[1]["__type"] == error


def test_throttle_says_when_to_come_back(fake):
    fake.faults([{"kind": "throttle", "retry_after": 3}])
    assert send(fake)[0].headers["Retry-After"] == "3"


def test_invalid_strikes_only_what_matches(fake):
    fake.faults([{"kind": "invalid", "matching": "poison"}])
    assert send(fake, batch(EVENT, b"poison"))[0].status == 400
    assert send(fake, batch(EVENT))[0].status == 200
    assert fake.records() == [EVENT]


def test_status_with_a_raw_body(fake):
    fake.faults([{"kind": "status", "code": 502, "body": "<html>", "content_type": "text/html"}])
    with connect(fake) as connection:
        response, answer = exchange(connection, build(fake, batch(EVENT)))
    assert (response.status, response.headers["Content-Type"], answer) == (502, "text/html", b"<html>")


def test_lie(fake):
    fake.faults([{"kind": "lie", "answer": '{"FailedPutCount":0}'}])
    response, answer = send(fake)
    assert (response.status, answer) == (200, {"FailedPutCount": 0})
    assert fake.records() == []


def test_fail_records(fake):
    records = [b"good 1", b"bad 1", b"good 2", b"bad 2"]
    fake.faults([{"kind": "fail_records", "matching": "bad"}])
    response, answer = send(fake, batch(*records))
    codes = [entry.get("ErrorCode") for entry in answer["RequestResponses"]]
    failed = "ServiceUnavailableException"
    assert (response.status, answer["FailedPutCount"], codes) == (200, 2, [None, failed, None, failed])
    assert fake.records() == [b"good 1", b"good 2"]
    assert fake.failed() == [sha(b"bad 1"), sha(b"bad 2")]
    assert fake.stats()["by_result"] == {"partial": 1}


def test_rate_is_seeded(fake):
    def failing():
        fake.reset()
        fake.faults([{"kind": "fail_records", "rate": 0.5}])
        return send(fake, batch(*[EVENT] * 200))[1]["FailedPutCount"]

    first = failing()
    assert 60 < first < 140
    assert failing() == first


@pytest.mark.parametrize("kind, stored", [("hang", False), ("cut_request", False), ("cut_response", True)])
def test_cutting_fault(fake, kind, stored):
    extra = {"seconds": 0.1} if kind == "hang" else {}
    fake.faults([{"kind": kind, "count": 1, **extra}])
    with connect(fake) as connection, pytest.raises(CUT):
        exchange(connection, build(fake, batch(b"x" * 100_000)))
    assert fake.stats()["by_result"] == {kind: 1}
    assert len(fake.records()) == stored
    assert send(fake, batch(b"x" * 100_000))[0].status == 200
    assert fake.duplicates() == ([{"sha256": sha(b"x" * 100_000), "times": 2}] if stored else [])


def test_cut_request_cuts_in_the_middle(fake):
    fake.faults([{"kind": "cut_request"}])
    body = batch(b"x" * 100_000)
    with connect(fake) as connection, pytest.raises(CUT):
        connection.request("POST", "/", body[:-10_000], {"Content-Length": str(len(body))})
        connection.getresponse()


def test_cut_response_sends_half_of_the_answer(fake):
    fake.faults([{"kind": "cut_response"}])
    with connect(fake) as connection, pytest.raises(http.client.IncompleteRead) as caught:
        exchange(connection, build(fake, batch(EVENT)))
    assert caught.value.partial.startswith(b'{"FailedPutCount": 0')


@pytest.mark.parametrize("kind", ["slow", "hang"])
def test_delay_holds_one_request_only(fake, kind):
    fake.faults([{"kind": kind, "seconds": 0.3, "matching": "late"}])
    done = []

    def late():
        with contextlib.suppress(*CUT):
            send(fake, batch(b"late"))
        done.append(time.monotonic())

    start = time.monotonic()
    thread = threading.Thread(target=late)
    thread.start()
    wait_for(lambda: fake.faults()[0]["hits"])
    assert send(fake)[0].status == 200 and not done
    thread.join()
    assert done[0] - start >= 0.3
    assert fake.stats()["in_flight_max"] == 2
    assert fake.records() == [EVENT, b"late"][: 1 + (kind == "slow")]


@pytest.mark.parametrize("fault", [{"kind": "trottle"}, {"kind": "throttle", "seconds": 1}, {"rate": 1}])
def test_an_unknown_fault_is_an_error(fake, fault):
    with pytest.raises(ValueError):
        fake.faults([fault])
    assert fake.faults() == []


def test_stats(fake):
    send(fake, batch(EVENT * 2, b"x" * 5121))
    send(fake, batch(b"x"))
    stats = fake.stats()
    assert abs(stats.pop("skew")) < 5
    assert stats == {
        "requests": 2, "by_result": {"ok": 2}, "records_taken": 3, "records_failed": 0, "connections": 2,
        "bytes_taken": 2 * len(EVENT) + 5122, "billed_bytes": 5120 + 10240 + 5120, "events_taken": 2,
        "largest_request": len(batch(EVENT * 2, b"x" * 5121)), "most_records": 2, "in_flight_max": 1,
        "violations": [], "failed_then": {"taken": 0, "missing": 0}, "by_key": {KEY: 2},
    }


def test_streams_can_be_changed(fake):
    fake.set_streams(["others"])
    assert send(fake)[0].status == 400
    assert send(fake, batch(EVENT, stream="others"))[0].status == 200
    fake.set_streams(["clicks"])


def test_credentials_expire_by_themselves(fake):
    now = time.time()
    fake.add_credentials({
        "ASIALIVE": {"secret": SECRET, "token": TOKEN, "expires": now + 60},
        "ASIADEAD": {"secret": SECRET, "token": TOKEN, "expires": now - 1},
    })
    assert send(fake)[0].status == 200  # the others are still known
    assert send(fake, key="ASIALIVE", token=TOKEN)[0].status == 200
    assert send(fake, key="ASIADEAD", token=TOKEN)[1]["__type"] == "ExpiredTokenException"
    fake.set_clock(61)
    assert send(fake, key="ASIALIVE", token=TOKEN)[1]["__type"] == "ExpiredTokenException"
    fake.set_clock(0)
    fake.set_credentials(KEYS)


@pytest.mark.parametrize("hours", [-2, 2])
def test_the_clock_can_be_off(fake, hours):
    """Answers carry AWS's time, and signatures are held against it."""
    fake.set_clock(hours * 3600)
    response, answer = send(fake)
    assert answer["__type"] == "InvalidSignatureException"
    date = email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
    assert abs(date - time.time() - hours * 3600) < 5
    assert send(fake, minutes=hours * 60)[0].status == 200
    assert abs(fake.stats()["skew"]) < 5
    assert send(fake, minutes=hours * 60 + 10)[0].status == 200
    assert abs(fake.stats()["skew"] - 600) < 5
    fake.set_clock(0)


def test_the_region_can_be_changed(fake):
    fake.set_region("eu-west-3")
    assert send(fake)[1]["__type"] == "InvalidSignatureException"
    assert send(fake, region="eu-west-3")[0].status == 200
    fake.set_region("us-east-1")


def test_a_defect_of_the_fake_is_seen(fake):
    fake.set_credentials({KEY: {"token": None}})
    with pytest.raises(CUT):
        send(fake)
    assert "KeyError" in wait_for(lambda: fake.stats()["violations"])[0]
    fake.set_credentials(KEYS)


def test_events_must_be_json(fake):
    send(fake, batch(EVENT + EVENT, b"no JSON\n"))
    with pytest.raises(ValueError):
        fake.events()


def test_a_silent_client_does_not_block_others(fake):
    with socket.create_connection(("127.0.0.1", fake.port)):
        assert send(fake)[0].status == 200


def test_a_client_without_the_ca_does_not_trust(fake):
    tls = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", fake.port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        tls.wrap_socket(plain, server_hostname="localhost")
    assert send(fake)[0].status == 200 and fake.stats()["violations"] == []


def test_expect_100_continue(fake):
    request = build(fake, batch(EVENT), Expect="100-continue")
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    head = "POST / HTTP/1.1\r\n" + "".join(lines) + f"Content-Length: {len(request.data)}\r\n\r\n"
    tls = ssl.create_default_context(cafile=fake.ca)
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as plain:
        with tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
            connection.sendall(request.data)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_comes_back_after_a_kill(tmp_path):
    with FakeFirehose(tmp_path, f"{KEY}:{SECRET}:{TOKEN}") as fake:
        ports, ca = (fake.port, fake.control_port), (tmp_path / "ca.pem").read_bytes()
        # Killed with a connection open, as httpd has it: the port must be free all the same.
        with connect(fake) as connection:
            exchange(connection, build(fake, batch(b"first"), token=TOKEN))
            fake.kill()
            with pytest.raises(ConnectionRefusedError):
                send(fake, token=TOKEN)
            fake.start()
            with pytest.raises(CUT):
                exchange(connection, build(fake, batch(b"lost"), token=TOKEN))
        fake.kill()
        with open(tmp_path / "records.jsonl", "a") as file:
            file.write('{"half a li')
        assert fake.records() == [b"first"]
        fake.start()
        assert ((fake.port, fake.control_port), (tmp_path / "ca.pem").read_bytes()) == (ports, ca)
        assert send(fake, batch(b"second"), token=TOKEN)[0].status == 200
        assert fake.records() == [b"first", b"second"]
        process = fake.process
    assert process.returncode == 0


def test_ends_when_its_parent_dies(tmp_path):
    code = "import os, sys; from fake_firehose import FakeFirehose; FakeFirehose(sys.argv[1]).start(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=os.path.dirname(__file__), check=True)
    port = json.loads((tmp_path / "ready.json").read_text())["port"]

    def refused():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port))

    wait_for(refused, seconds=5, what="the end of the orphan")


def test_does_not_start_without_credentials(tmp_path):
    script = os.path.join(os.path.dirname(__file__), "fake_firehose.py")
    done = subprocess.run([sys.executable, script, "--dir", tmp_path], capture_output=True)
    assert done.returncode == 2 and b"--credentials" in done.stderr
