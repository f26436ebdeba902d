"""The Firehose sink against a fake that misbehaves: what it sends, what it sends again, and what it never loses."""
# SPDX-License-Identifier: Apache-2.0

import json

import pytest
from fake_proxy import FakeProxy
from load import Load, event, lines_of, record
from server import HEADERS, Httpd, firehose_stream, wait_for

TROUBLE = ["delivery has failed"]


def post_numbers(httpd, numbers):
    numbers = list(numbers)
    for start in range(0, len(numbers), 100):
        answer = httpd.post("[" + ",".join(map(event, numbers[start:start + 100])) + "]")
        assert answer.status == 200, answer.text


def wait_until_there(fake, numbers, seconds=30):
    wanted = {record(number) for number in numbers}
    wait_for(lambda: wanted <= set(lines_of(fake)), seconds, "the events to be delivered")


# --- what is sent ---

def test_events_share_records_just_below_a_multiple_of_5_kib(fake, keys):
    """Firehose bills each record rounded up to 5 KiB: full ones must waste next to nothing."""
    with Httpd(firehose_stream(fake, "linger=500ms"), environment=keys) as httpd:
        post_numbers(httpd, range(2000))
        wait_until_there(fake, range(2000))
    sizes = [len(data) for data in fake.records()]
    assert max(sizes) <= 20 * 5120
    full = sorted(sizes)[1:-1]
    assert all(20 * 5120 - size < 400 for size in full), sizes  # less than an event
    stats = fake.stats()
    assert stats["billed_bytes"] / stats["bytes_taken"] < 1.03
    assert all(data.endswith(b"}\n") for data in fake.records())


def test_aggregate_off_sends_one_event_a_record(fake, keys):
    with Httpd(firehose_stream(fake, "linger=200ms aggregate=off"), environment=keys) as httpd:
        post_numbers(httpd, range(1200))
        wait_until_there(fake, range(1200))
    assert sorted(fake.records()) == sorted(f"{record(n)}\n".encode() for n in range(1200))
    assert fake.stats()["most_records"] == 500  # and never more: the fake would have refused


def test_delimiter_none_concatenates_as_the_first_implementation_did(fake, keys):
    with Httpd(firehose_stream(fake, "linger=50ms delimiter=none"), environment=keys) as httpd:
        post_numbers(httpd, range(3))
        wait_for(fake.records, what="a record")
    assert b"".join(fake.records()).decode() == record(0) + record(1) + record(2)


def test_a_single_event_waits_no_longer_than_it_may_linger(fake, keys):
    """One event alone is sent, too; its batch has one record."""
    with Httpd(firehose_stream(fake, "linger=0s"), environment=keys) as httpd:
        post_numbers(httpd, [7])
        wait_until_there(fake, [7])
    assert fake.stats()["records_taken"] == 1


def test_the_largest_event_fits(fake, keys):
    location = "ClickstreamMaxBody 2M\nClickstreamMaxEvent 1000K"
    with Httpd(firehose_stream(fake), location, environment=keys) as httpd:
        text = event(1)[:-1] + ',"pad":"' + "x" * (1_024_000 - len(record(1)) - len(',"pad":""') - 1) + '"}'
        assert httpd.post(text).status == 200
        assert httpd.post(text[:-2] + 'x"}').status == 400  # one byte more, with its newline
        wait_for(fake.records, what="the record")
    assert [len(data) for data in fake.records()] == [1_024_000]


def test_requests_of_four_mib_at_the_most(fake, keys):
    location = "ClickstreamMaxBody 8M\nClickstreamMaxEvent 200K"
    with Httpd(firehose_stream(fake, "queue=64M linger=300ms"), location, environment=keys) as httpd:
        pad = "x" * 150_000
        for n in range(60):
            assert httpd.post(event(n)[:-1] + f',"pad":"{pad}"' + "}").status == 200
        wait_for(lambda: len(lines_of(fake)) == 60, what="all of them")
    assert 3_500_000 < fake.stats()["largest_request"] <= 4 * 1024 * 1024


# --- what is sent again ---

FAULTS = {
    "throttled": [{"kind": "throttle", "count": 3}],
    "throttled with Retry-After": [{"kind": "throttle", "count": 1, "retry_after": 1}],
    "throttling as a 400": [{"kind": "status", "code": 400, "error_type": "ThrottlingException", "count": 2}],
    "server error": [{"kind": "status", "code": 500, "count": 3}],
    "gateway's HTML": [{"kind": "status", "code": 502, "body": "<html>no</html>", "content_type": "text/html", "count": 2}],
    "redirect": [{"kind": "status", "code": 302, "body": "", "count": 2}],
    "unknown stream": [{"kind": "status", "code": 400, "error_type": "ResourceNotFoundException", "count": 2}],
    "connection cut in the request": [{"kind": "cut_request", "count": 2}],
    "signature refused": [{"kind": "refuse_signature", "count": 2}],
    "token expired": [{"kind": "expired", "count": 2}],
    "an answer that is no JSON": [{"kind": "lie", "answer": "thanks", "count": 2}],
    "an answer with the wrong count": [{"kind": "lie", "count": 2,
                                        "answer": json.dumps({"FailedPutCount": 0, "RequestResponses": [{"RecordId": "a"}] * 9})}],
    "an empty answer": [{"kind": "lie", "answer": "", "count": 2}],
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_fails_is_sent_again_and_taken_once(fake, keys, what):
    fake.faults(FAULTS[what])
    with Httpd(firehose_stream(fake, "linger=50ms"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, range(900))
        wait_until_there(fake, range(900))
        wait_for(lambda: "delivers again" in httpd.log(), what="the line that tells the end")
        assert httpd.log().count("delivery has failed") == 1  # one line, not one for each attempt
    assert len(lines_of(fake)) == 900
    assert all(fault["hits"] == fault["count"] for fault in fake.faults())


def test_a_request_that_hangs_is_given_up_and_sent_again(fake, keys):
    fake.faults([{"kind": "hang", "seconds": 20, "count": 1}])
    with Httpd(firehose_stream(fake, "linger=50ms timeout=1s"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, range(10))
        wait_until_there(fake, range(10))
    assert len(lines_of(fake)) == 10


def test_an_answer_that_is_cut_may_repeat_but_not_lose(fake, keys):
    """Firehose took them, and we cannot know: at least once."""
    fake.faults([{"kind": "cut_response", "count": 1}])
    with Httpd(firehose_stream(fake, "linger=50ms"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, range(10))
        wait_for(lambda: len(lines_of(fake)) == 20, what="both copies")
    assert sorted(lines_of(fake)) == sorted([record(n) for n in range(10)] * 2)


def test_the_fake_away_and_back(fake, keys):
    """Connections refused: requests are answered all the same, and everything comes when it is back."""
    with Httpd(firehose_stream(fake, "linger=50ms"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        fake.stop()
        post_numbers(httpd, range(500))
        wait_for(lambda: "delivery has failed" in httpd.log(), what="the line about it")
        fake.start()
        wait_until_there(fake, range(500), seconds=60)
    assert len(lines_of(fake)) == 500


def test_each_line_is_logged_at_its_level(fake, keys):
    fake.faults([{"kind": "throttle", "count": 1}])
    with Httpd(firehose_stream(fake, "linger=50ms"), environment=keys, loglevel="debug") as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, [1])
        wait_for(lambda: "delivers again" in httpd.log(), what="the line that tells the end")
        for level, text in (("debug", "is its sender now"), ("warn", "delivery has failed"), ("notice", "delivers again")):
            assert all(f"[clickstream:{level}]" in line for line in httpd.log().splitlines() if text in line), text


def test_a_wrong_certificate_is_never_trusted(fake, keys):
    stream = firehose_stream(fake, "linger=50ms").replace(f"ca={fake.directory}/public-ca.pem", "")
    with Httpd(stream, environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, range(5))
        wait_for(lambda: "certificate" in httpd.log(), what="the line about the certificate")
    assert fake.stats()["requests"] == 0


def test_only_the_failed_records_are_sent_again(fake, keys):
    """Two events of 600 in one batch, one record each, fail three times: the others are sent once."""
    fake.faults([{"kind": "fail_records", "matching": '"number":5,', "count": 3},
                 {"kind": "fail_records", "matching": '"number":17,', "count": 3}])
    with Httpd(firehose_stream(fake, "linger=100ms aggregate=off"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, range(300))
        wait_until_there(fake, range(300))
    assert len(lines_of(fake)) == 300
    assert fake.duplicates() == []
    stats = fake.stats()
    assert stats["records_failed"] == 6
    assert stats["records_taken"] == 300


def test_what_a_slow_line_cannot_carry_in_time_goes_in_halves(fake, keys):
    """A full request takes 7 seconds there, and has 1: it would be sent for ever."""
    location = "ClickstreamMaxBody 8M\nClickstreamMaxEvent 200K"
    pad = "x" * 100_000
    with FakeProxy(leads_to=fake.port) as line:
        line.rate = 600_000
        stream = firehose_stream(fake, "linger=300ms timeout=1s").replace(f":{fake.port}", f":{line.port}")
        with Httpd(stream, location, environment=keys) as httpd:
            httpd.expected_errors = TROUBLE
            padded = ",".join(event(n)[:-1] + f',"pad":"{pad}"' + "}" for n in range(30))
            assert httpd.post(f"[{padded}]").status == 200
            wait_for(lambda: fake.stats()["events_taken"] >= 30, 60, "the events to be delivered")
            assert "timed out" in httpd.log()
    assert len(set(lines_of(fake))) == 30


@pytest.mark.parametrize("fault", [{"kind": "fail_records"}, {"kind": "status"}, {"kind": "hang", "seconds": 30}],
                         ids=lambda fault: fault["kind"])
def test_what_fails_for_ever_holds_up_nobody_else(fake, keys, fault):
    """An event that is not invalid, and never taken: others are, and it is tried less and less often."""
    fake.faults([{**fault, "matching": '"number":5,'}])
    with Httpd(firehose_stream(fake, "linger=10ms timeout=1s"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, [5])
        wait_for(lambda: fake.faults()[0]["hits"] >= 3, what="its third failure")
        for number in range(100, 120):
            post_numbers(httpd, [number])
            wait_until_there(fake, [number])
        assert fake.faults()[0]["hits"] < 20
        fake.faults([])
        wait_until_there(fake, [5])


def test_trouble_lasts_for_as_long_as_one_event_fails(fake, keys):
    """Also while others are delivered as that one is under way again."""
    fake.faults([{"kind": "slow", "matching": '"number":5,', "seconds": 0.5},
                 {"kind": "fail_records", "matching": '"number":5,'}])
    with Httpd(firehose_stream(fake, "linger=10ms aggregate=off"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, [5])
        wait_for(lambda: fake.faults()[1]["hits"] >= 1, what="its first failure")
        posted = [6]
        while fake.faults()[1]["hits"] < 5:
            post_numbers(httpd, posted[-1:])
            wait_until_there(fake, posted[-1:])
            posted.append(posted[-1] + 1)
        assert "delivers again" not in httpd.log()
        fake.faults([])
        wait_until_there(fake, [5])
        wait_for(lambda: "delivers again" in httpd.log(), what="the end of the trouble")


# --- what is never taken ---

@pytest.mark.parametrize("options", ["", "aggregate=off"])
def test_an_invalid_event_is_found_by_bisecting_and_set_aside(fake, keys, options):
    fake.faults([{"kind": "invalid", "matching": '"number":123,'}, {"kind": "invalid", "matching": '"number":456,'}])
    with Httpd(firehose_stream(fake, f"linger=200ms {options}"), environment=keys) as httpd:
        httpd.expected_errors = ["will never take an event"]
        post_numbers(httpd, range(600))
        wait_until_there(fake, [n for n in range(600) if n not in (123, 456)])
        path = httpd.queues / "clicks.rejected"
        wait_for(lambda: path.exists() and path.read_text().count("\n") == 2, what="both rejected events")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert {line["record"] for line in lines} == {record(123), record(456)}
        assert all("ValidationException" in line["reason"] for line in lines)
        assert path.stat().st_mode & 0o777 == 0o600
        assert httpd.log().count("will never take an event") == 1
    assert len(lines_of(fake)) == 598


def test_trouble_is_over_when_what_could_not_be_set_aside_is(fake, keys):
    """Also where no other event comes that would be delivered."""
    fake.faults([{"kind": "invalid"}])
    with Httpd(firehose_stream(fake, "linger=10ms"), environment=keys) as httpd:
        httpd.expected_errors = [*TROUBLE, "will never take an event"]
        path = httpd.queues / "clicks.rejected"
        path.mkdir()
        post_numbers(httpd, [5])
        wait_for(lambda: "clicks.rejected: Is a directory" in httpd.log(), what="the trouble")
        path.rmdir()
        wait_for(path.exists, what="the rejected event")
        wait_for(lambda: "delivers again" in httpd.log(), what="the end of the trouble")


def test_a_stream_that_takes_no_puts_has_all_events_wait(fake, keys):
    """AWS calls that an invalid argument, too, but no event is to blame for it."""
    body = json.dumps({"__type": "InvalidArgumentException", "message": "This operation is not permitted on "
                       "KinesisStreamAsSource delivery stream type."})
    fake.faults([{"kind": "status", "code": 400, "body": body}])
    with Httpd(firehose_stream(fake, "linger=100ms"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, range(20))
        wait_for(lambda: fake.stats()["requests"] >= 3, what="the third attempt")
        assert "must take direct PUTs" in httpd.log()
        fake.faults([])
        wait_until_there(fake, range(20))
        assert not (httpd.queues / "clicks.rejected").exists()
    assert len(lines_of(fake)) == 20


# --- credentials ---

def test_a_session_token_is_signed(fake, keys):
    fake.set_credentials({"ASIAEXAMPLE": {"secret": "s3cret/+", "token": "to/ken+==", "expired": False}})
    environment = {"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret/+", "AWS_SESSION_TOKEN": "to/ken+=="}
    with Httpd(firehose_stream(fake, "linger=50ms"), environment=environment) as httpd:
        post_numbers(httpd, range(5))
        wait_until_there(fake, range(5))


def write_credentials(httpd, secret, section="collector"):
    path = httpd.root / "credentials"
    path.write_text(f"# keys\n[other]\naws_access_key_id = X\n\n[{section}]\naws_access_key_id = AKIDEXAMPLE\n"
                    f"aws_secret_access_key={secret}\n")
    path.chmod(0o644)


def test_a_credentials_file_and_its_rotation(fake, keys):
    """The file is read again when it changes; what was refused meanwhile is not lost."""
    secret = keys["AWS_SECRET_ACCESS_KEY"]
    stream = firehose_stream(fake, "linger=50ms profile=collector credentials=@ROOT@/credentials")
    httpd = Httpd(stream, environment={"AWS_ACCESS_KEY_ID": "not", "AWS_SECRET_ACCESS_KEY": "these"})
    write_credentials(httpd, secret)
    with httpd:
        httpd.expected_errors = TROUBLE
        post_numbers(httpd, range(5))
        wait_until_there(fake, range(5))
        fake.set_credentials({"AKIDEXAMPLE": {"secret": "rotated", "token": None, "expired": False}})
        post_numbers(httpd, range(5, 10))
        wait_for(lambda: "InvalidSignature" in httpd.log(), what="the refusal")
        write_credentials(httpd, "rotated")
        wait_until_there(fake, range(10))
        assert secret not in httpd.log() and "rotated" not in httpd.log()


def test_without_credentials_the_log_says_what_to_do(fake, keys):
    with Httpd(firehose_stream(fake, "linger=50ms profile=nobody credentials=@ROOT@/credentials")) as httpd:
        httpd.expected_errors = TROUBLE
        write_credentials(httpd, "secret")
        post_numbers(httpd, range(5))
        wait_for(lambda: "in section [nobody]" in httpd.log(), what="the line about it")
        write_credentials(httpd, keys["AWS_SECRET_ACCESS_KEY"], section="nobody")
        wait_until_there(fake, range(5), seconds=40)


# --- several streams, and how it ends ---

def test_two_streams_have_a_queue_and_a_sender_each(fake, keys):
    fake.set_streams(["clicks", "taps"])
    streams = firehose_stream(fake, "linger=50ms") + "\n" + firehose_stream(fake, "linger=50ms", name="taps")
    more = '</Location>\n<Location "/taps/">\nSetHandler clickstream\nClickstreamDeliverTo taps'
    with Httpd(streams, "ClickstreamDeliverTo clicks\n" + more, environment=keys) as httpd:
        post_numbers(httpd, [1])
        assert httpd.post(event(2), path="/taps/").status == 200
        wait_until_there(fake, [1, 2])
        assert sorted(path.name for path in httpd.queues.iterdir()) == ["clicks.queue", "taps.queue"]
    by_stream = [json.loads(line) for line in (fake.directory / "records.jsonl").read_text().splitlines()]
    assert {(line["stream"], line["data"]) for line in by_stream} == {("clicks", record(1) + "\n"), ("taps", record(2) + "\n")}


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_a_stop_is_quick_while_aws_hangs_and_the_rest_waits_in_the_file(fake, keys, mpm):
    fake.faults([{"kind": "hang", "seconds": 60}])
    httpd = Httpd(firehose_stream(fake, "linger=50ms"), mpm=mpm, environment=keys)
    with httpd:
        post_numbers(httpd, range(50))
        wait_for(lambda: fake.stats()["requests"] > 0, what="a request that hangs")
        httpd.process.terminate()
        assert httpd.process.wait(timeout=8) == 0
        fake.faults([])
        httpd.start()
        wait_until_there(fake, range(50))
    assert len(lines_of(fake)) == 50


def test_requests_are_answered_as_fast_while_aws_hangs(fake, keys):
    """No request waits for AWS: 2,000 events are taken while not one can be delivered."""
    fake.faults([{"kind": "hang", "seconds": 60}])
    with Httpd(firehose_stream(fake, "linger=20ms"), environment=keys) as httpd:
        httpd.expected_errors = TROUBLE
        with Load(httpd.port, total=2000, clients=4) as load:
            load.join(30)
        assert set(load.ledger.statuses) == {200}
        assert fake.stats()["events_taken"] == 0
        fake.faults([])
        httpd.stop()
        httpd.start()
        wait_until_there(fake, range(2000))


def test_ack_synced(fake, keys):
    with Httpd(firehose_stream(fake, "linger=50ms ack=synced"), environment=keys) as httpd:
        with Load(httpd.port, total=2000, clients=8) as load:
            load.join()
        wait_until_there(fake, range(2000))
        assert set(load.ledger.statuses) == {200}
        load.ledger.check(lines_of(fake))


def test_the_old_wire_contract(fake, keys):
    """A request as the app of the first implementation sends it, and the record it expects."""
    body = '{"token":"fkxnjuxdn8j0czwl","timestamp":"2022-02-22T18:37:54.363Z","tag":"GEO_LOC","latitude":22.3193,"longitude":114.1694}'
    with Httpd(firehose_stream(fake, "linger=50ms"), environment=keys) as httpd:
        answer = httpd.post(body)
        assert (answer.status, answer.text) == (200, '{"response_code":"200","message":"Clickstream collected."}')
        wait_for(fake.events, what="the event")
    assert fake.events() == [{**json.loads(body), "client_id": "touchwood-app", "client_ip": HEADERS["X-Forwarded-For"],
                              "user_agent": HEADERS["User-Agent"]}]
