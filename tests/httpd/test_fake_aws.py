"""Proves the fakes of AWS's credential endpoints with botocore, the reference, as their client.

What botocore's own providers get from them the fake Firehose takes; and what AWS refuses they refuse.
"""
# SPDX-License-Identifier: Apache-2.0

import http.client
import json
import time
import urllib.parse

import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.session
import botocore.utils
import pytest
from fake_aws import FakeAws
from fake_firehose import FakeFirehose

ROLE, NEXT_ROLE = "arn:aws:iam::123456789012:role/collector", "arn:aws:iam::210987654321:role/team/writer"
KEY, SECRET = "AKIDLONGTERM", "long/term+secret"
ONE_TRY = botocore.config.Config(retries={"max_attempts": 0})
TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
ROLES = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture(scope="module")
def firehose(tmp_path_factory):
    with FakeFirehose(tmp_path_factory.mktemp("firehose"), f"{KEY}:{SECRET}") as running:
        yield running


@pytest.fixture(scope="module")
def running(firehose, tmp_path_factory):
    with FakeAws(tmp_path_factory.mktemp("aws"), firehose) as running:
        yield running


@pytest.fixture
def aws(running, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    running.reset()
    running.settings(keys={KEY: SECRET})
    return running


class Session(botocore.session.Session):
    """A session whose STS is the fake: this botocore does not know AWS_ENDPOINT_URL_STS yet."""

    def __init__(self, aws, firehose, profile=None):
        super().__init__(profile=profile)
        self.fakes = {"endpoint_url": aws.sts_url, "verify": firehose.ca, "config": ONE_TRY}

    def create_client(self, *arguments, **more):
        return super().create_client(*arguments, **{**more, **self.fakes})


def put(firehose, credentials):
    """Sends an event with them, as AWS's SDK would."""
    frozen = credentials.get_frozen_credentials()
    client = botocore.session.Session().create_client(
        "firehose", "us-east-1", endpoint_url=firehose.url, verify=firehose.ca, config=ONE_TRY,
        aws_access_key_id=frozen.access_key, aws_secret_access_key=frozen.secret_key, aws_session_token=frozen.token)
    client.put_record_batch(DeliveryStreamName="clicks", Records=[{"Data": b"{}\n"}])
    return frozen.access_key


def instance_provider(aws):
    fetcher = botocore.utils.InstanceMetadataFetcher(timeout=1, base_url=aws.metadata_url, env={})
    return botocore.credentials.InstanceMetadataProvider(fetcher)


def container_provider(aws, authorization=None):
    environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.container_url + "/v2/credentials/0"}
    if authorization:
        environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = authorization
    fetcher = botocore.utils.ContainerMetadataFetcher(sleep=lambda _: None)
    return botocore.credentials.ContainerProvider(environment, fetcher)


def write_profiles(tmp_path, monkeypatch, text):
    path = tmp_path / "config"
    path.write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))


# --- botocore is satisfied ---

def test_instance_metadata(aws, firehose):
    assert put(firehose, instance_provider(aws).load()) == aws.issued("metadata")[0]
    assert aws.stats()["requests"] == {"metadata token": 1, "metadata role": 1, "metadata credentials": 1}
    assert aws.stats()["violations"] == []


def test_the_region_of_the_instance(aws):
    aws.settings(region="eu-west-3")
    fetcher = botocore.utils.InstanceMetadataRegionFetcher(timeout=1, base_url=aws.metadata_url, env={})
    assert fetcher.retrieve_region() == "eu-west-3"


def test_an_instance_without_a_role(aws):
    aws.settings(instance_role=None)
    assert instance_provider(aws).load() is None


def test_container(aws, firehose):
    aws.settings(container_authorization="Bearer x+/=")
    assert put(firehose, container_provider(aws, "Bearer x+/=").load()) == aws.issued("container")[0]
    with pytest.raises(botocore.exceptions.CredentialRetrievalError, match="401"):
        container_provider(aws, "Bearer y").load()


def test_web_identity(aws, firehose, tmp_path, monkeypatch):
    aws.settings(roles={ROLE: {"token": "web.identity+token/=", "session_name": "me@here"}})
    (tmp_path / "token").write_text("web.identity+token/=")
    for name, value in (("AWS_ROLE_ARN", ROLE), ("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token")),
                        ("AWS_ROLE_SESSION_NAME", "me@here")):
        monkeypatch.setenv(name, value)
    assert put(firehose, Session(aws, firehose).get_credentials()) == aws.issued("sts")[0]
    assert aws.stats()["requests"] == {"sts AssumeRoleWithWebIdentity": 1}
    assert aws.stats()["violations"] == []


def test_a_chain_of_roles(aws, firehose, tmp_path, monkeypatch):
    aws.settings(roles={ROLE: {"by": KEY, "external_id": "a+b"}, NEXT_ROLE: {"by": ROLE, "session_name": "second"}})
    write_profiles(tmp_path, monkeypatch, f"""
[profile long-term]
aws_access_key_id = {KEY}
aws_secret_access_key = {SECRET}
[profile first]
source_profile = long-term
role_arn = {ROLE}
external_id = a+b
[profile second]
source_profile = first
role_arn = {NEXT_ROLE}
role_session_name = second
duration_seconds = 900
""")
    used = put(firehose, Session(aws, firehose, "second").get_credentials())
    first, second = aws.issued("sts")
    assert used == second
    assert aws.stats()["signed_by"] == {KEY: 1, first: 1}
    assert aws.stats()["violations"] == []


# --- what they refuse ---

def sts_client(aws, firehose, secret=SECRET, region="us-east-1"):
    return Session(aws, firehose).create_client("sts", region, aws_access_key_id=KEY, aws_secret_access_key=secret)


ASSUME = {"RoleArn": ROLE, "RoleSessionName": "test", "ExternalId": "x1"}
REFUSED = {
    "external id": ({}, {**ASSUME, "ExternalId": "x2"}, "AccessDenied"),
    "no external id": ({}, {"RoleArn": ROLE, "RoleSessionName": "test"}, "AccessDenied"),
    "role": ({}, {**ASSUME, "RoleArn": NEXT_ROLE}, "AccessDenied"),
    "session": ({}, {**ASSUME, "RoleSessionName": "other"}, "AccessDenied"),
    "secret": ({"secret": "not this"}, ASSUME, "SignatureDoesNotMatch"),
    "region": ({"region": "eu-west-3"}, ASSUME, "SignatureDoesNotMatch"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_assume_role_refuses(aws, firehose, what):
    client, parameters, error = REFUSED[what]
    aws.settings(roles={ROLE: {"external_id": "x1", "session_name": "test"}})
    assert sts_client(aws, firehose).assume_role(**ASSUME)["Credentials"]
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        sts_client(aws, firehose, **client).assume_role(**parameters)
    assert caught.value.response["Error"]["Code"] == error


def test_assume_role_refuses_an_unknown_key_and_one_that_has_expired(aws, firehose):
    aws.settings(roles={ROLE: {}}, keys={}, lives={"metadata": [[-1, 3600]]})
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidClientTokenId"):
        sts_client(aws, firehose).assume_role(**ASSUME)
    expired = instance_provider(aws).load()
    client = Session(aws, firehose).create_client(
        "sts", "us-east-1", aws_access_key_id=expired.access_key, aws_secret_access_key=expired.secret_key,
        aws_session_token=expired.token)
    with pytest.raises(botocore.exceptions.ClientError, match="ExpiredToken"):
        client.assume_role(**ASSUME)
    with pytest.raises(botocore.exceptions.ClientError, match="ExpiredToken"):
        put(firehose, expired)


@pytest.mark.parametrize("token, error", [("yesterday's", "ExpiredTokenException"), ("forged", "InvalidIdentityToken")])
def test_web_identity_refuses(aws, firehose, token, error):
    aws.settings(roles={ROLE: {"token": "good", "expired_tokens": ["yesterday's"]}})
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        sts_client(aws, firehose).assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="test", WebIdentityToken=token)
    assert caught.value.response["Error"]["Code"] == error


def ask(url, method, path, headers=None, body=None):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=5)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_instance_metadata_is_version_2_only(aws):
    url = aws.metadata_url
    assert ask(url, "GET", ROLES)[0] == 401
    assert "version 1" in aws.stats()["violations"][0]
    assert ask(url, "GET", ROLES, {"X-aws-ec2-metadata-token": "forged"})[0] == 401
    assert ask(url, "PUT", "/latest/api/token")[0] == 400
    assert ask(url, "PUT", "/latest/api/token", {**TTL, "X-Forwarded-For": "10.0.0.1"})[0] == 403
    status, token = ask(url, "PUT", "/latest/api/token", TTL)
    bearer = {"X-aws-ec2-metadata-token": token}
    assert (status, ask(url, "GET", ROLES, bearer)) == (200, (200, "collector"))
    assert ask(url, "GET", ROLES + "another", bearer)[0] == 404
    assert ask(url, "GET", "/latest/meta-data/placement/region", bearer) == (200, "us-east-1")
    aws.set_clock(21601)
    assert ask(url, "GET", ROLES, bearer)[0] == 401


def test_a_form_that_sts_does_not_know(aws, firehose):
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidAction"):
        sts_client(aws, firehose).get_caller_identity()
    assert "GetCallerIdentity" in aws.stats()["violations"][0]


# --- what they hand out ---

def test_an_endpoint_has_new_credentials_five_minutes_before_the_old_ones_expire(aws):
    keys = [instance_provider(aws).load().access_key for _ in range(2)]
    aws.set_clock(3000)
    keys += [instance_provider(aws).load().access_key]
    aws.set_clock(3301)
    keys += [instance_provider(aws).load().access_key]
    assert keys == [aws.issued("metadata")[i] for i in (0, 0, 0, 1)]


def test_lives_are_of_one_after_the_other(aws):
    aws.settings(lives={"container": [[-1, 10], [3600, 7200]]})
    texts = [json.loads(ask(aws.container_url, "GET", "/v2/credentials/0")[1])["Expiration"] for _ in range(3)]
    assert len(aws.issued("container")) == 2 and texts[1] == texts[2]
    ends = [time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time() for text in texts[:2]]
    assert 5 < ends[0] <= 10 and 7195 < ends[1] <= 7200


FAULTS = {
    "hang": ({"kind": "hang", "seconds": 1.3}, (None, None)),
    "status": ({"kind": "status", "code": 503}, (503, "As the test has asked for.")),
    "garbage": ({"kind": "garbage", "body": "{"}, (200, "{")),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults(aws, kind):
    fault, wanted = FAULTS[kind]
    aws.faults([{**fault, "source": "metadata", "path": "token", "count": 1}])
    try:
        answer = ask(aws.metadata_url, "PUT", "/latest/api/token", TTL)
    except http.client.RemoteDisconnected:
        answer = None, None
    assert answer == wanted
    assert ask(aws.metadata_url, "PUT", "/latest/api/token", TTL)[0] == 200
    assert aws.faults()[0]["hits"] == 1


@pytest.mark.parametrize("wrong", [{"kind": "hand"}, {"kind": "hang", "code": 1}, {}])
def test_an_unknown_fault_or_setting_is_an_error(aws, wrong):
    with pytest.raises(ValueError):
        aws.faults([wrong])
    with pytest.raises(ValueError):
        aws.settings(rolls={})


def test_all_that_was_handed_out_is_a_secret(aws):
    credentials = instance_provider(aws).load()
    secrets = aws.secrets()
    assert {credentials.secret_key, credentials.token} < set(secrets) and len(secrets) == 3
