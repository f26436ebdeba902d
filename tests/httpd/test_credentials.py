"""Where credentials and the region come from, end to end: each source, what overrides what, rotation, a clock that is off.

Events are posted to a real httpd; the fake Firehose tells which access key signed them. In the end nothing
that was secret may stand in a log or beside the queue.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import re
import time

import pytest
from aws_site import Site, found_in, role_arn, running_aws
from conftest import running_fake
from load import Load, event, lines_of
from network import own_network
from server import HEADERS, free_port, is_running, wait_for
from tokens import HS256, SECRET, hs256, payload, token
from tokens import keys as token_keys

TROUBLE = ["delivery has failed"]


@pytest.fixture(scope="module")
def fakes():
    with running_fake() as fake, running_aws(fake) as aws:
        yield fake, aws


@pytest.fixture
def site(fakes):
    made = Site(*fakes)
    yield made
    made.close()


def wait_for_line(httpd, *patterns, seconds=20):
    """The first line of the error log that has all of these."""
    def line():
        return next((line for line in httpd.log().splitlines()
                     if all(re.search(pattern, line) for pattern in patterns)), None)
    return wait_for(line, seconds, f"a line of the log with {patterns}")


# --- what overrides what ---

def everything(site):
    """Each source with another key, in the order in which they count."""
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": site.write("credentials", "".join(
            f"[{name}]\n{site.lines(key)}" for name, key in (("default", "FILE"), ("other", "OTHER")))),
        "AWS_CONFIG_FILE": site.write("config", f"[default]\n{site.lines('CONFIG')}[profile only]\n{site.lines('ONLY')}"),
    }
    site.write("own", f"[default]\n{site.lines('OWNDEFAULT')}[mine]\n{site.lines('MINE')}")
    return {
        "environment": site.environment("ENVIRONMENT"),
        "web identity": site.web_identity("web", site.secret()),
        "files": files,
        "container": site.container(),
        "instance": site.instance(),
    }


WEB, CONTAINER, INSTANCE = "ASIASTS", "ASIACONTAINER", "ASIAMETADATA"
OVERRIDES = {
    "stream's file and profile": ((), "credentials=@AWS@/own profile=mine", {}, "AKIDMINE"),
    "stream's file": ((), "credentials=@AWS@/own", {}, "AKIDOWNDEFAULT"),
    "stream's file, another profile in the environment": (
        (), "credentials=@AWS@/own", {"AWS_PROFILE": "mine"}, "AKIDMINE"),
    "stream's profile": ((), "profile=other", {}, "AKIDOTHER"),
    "stream's profile in the config file": ((), "profile=only", {}, "AKIDONLY"),
    "stream's profile before the environment's": ((), "profile=other", {"AWS_PROFILE": "only"}, "AKIDOTHER"),
    "environment": ((), "", {}, "AKIDENVIRONMENT"),
    "environment before AWS_PROFILE": ((), "", {"AWS_PROFILE": "other"}, "AKIDENVIRONMENT"),
    "an empty environment is none": ((), "", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, WEB),
    "web identity": (("environment",), "", {}, WEB),
    "web identity before AWS_PROFILE": (("environment",), "", {"AWS_PROFILE": "other"}, WEB),
    "credentials file before config file": (("environment", "web identity"), "", {}, "AKIDFILE"),
    "AWS_PROFILE": (("environment", "web identity"), "", {"AWS_PROFILE": "other"}, "AKIDOTHER"),
    "AWS_PROFILE in the config file": (("environment", "web identity"), "", {"AWS_PROFILE": "only"}, "AKIDONLY"),
    "config file": (
        ("environment", "web identity"), "", {"AWS_SHARED_CREDENTIALS_FILE": "@AWS@/nowhere"}, "AKIDCONFIG"),
    "container": (("environment", "web identity", "files"), "", {}, CONTAINER),
    "instance": (("environment", "web identity", "files", "container"), "", {}, INSTANCE),
}


@pytest.mark.parametrize("what", OVERRIDES)
def test_what_overrides_what(site, what):
    without, options, more, used = OVERRIDES[what]
    folder = str(site.folder / "aws")
    environment = {}
    for source, variables in everything(site).items():
        environment |= {} if source in without else variables
    environment |= {name: value.replace("@AWS@", folder) for name, value in more.items()}
    with site.serve(environment, options.replace("@AWS@", folder)) as httpd:
        site.deliver(httpd)
    assert [key[:len(used)] for key in site.used()] == [used]


def test_the_files_of_home(site):
    site.write("home/.aws/credentials", f"[default]\n{site.lines('HOME')}")
    site.write("home/.aws/config", "[default]\nregion = eu-west-3\n")
    site.fake.set_region("eu-west-3")
    with site.serve({"HOME": str(site.folder / "aws/home")}, region=None) as httpd:
        site.deliver(httpd)
    assert site.used() == ["AKIDHOME"]


def test_a_file_that_was_replaced_is_read_again(site):
    """Even by one of the same size and time."""
    path = site.write("credentials", f"[default]\n{site.lines('FIRST')}")
    times = os.stat(path)
    with site.serve({"AWS_SHARED_CREDENTIALS_FILE": path}) as httpd:
        site.deliver(httpd)
        site.write("credentials", f"[default]\n{site.lines('OTHER')}", times=times)
        assert os.stat(path).st_size == times.st_size
        site.deliver(httpd, range(5, 10))
    assert site.used() == ["AKIDFIRST", "AKIDOTHER"]


def test_a_profile_that_is_not_there_stops_the_search(site):
    environment = {"AWS_PROFILE": "nobody", "AWS_CONFIG_FILE": site.write("config", "[default]\n")}
    with site.serve(environment | site.container() | site.instance(), expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", r"\[(profile )?nobody\]")
    assert site.aws.stats()["requests"] == {}


# --- roles ---

PROFILES = """
[default]
role_arn = {arn}last
source_profile = middle
role_session_name = the-last
[profile middle]
role_arn = {arn}middle
source_profile = keys
external_id = partner/7+1
duration_seconds = 1800
[profile keys]
{keys}"""


def test_a_chain_of_profiles(site):
    """Each role is assumed with the credentials of the one before; only the last may deliver."""
    profiles = PROFILES.format(arn=role_arn(""), keys=site.lines("LONGTERM", delivers=False))
    environment = site.sts(middle={"by": "AKIDLONGTERM", "external_id": "partner/7+1"},
                           last={"by": role_arn("middle"), "external_id": None, "session_name": "the-last"})
    with site.serve(environment | {"AWS_CONFIG_FILE": site.write("config", profiles)}) as httpd:
        site.deliver(httpd)
    first, second = site.aws.issued("sts")
    assert site.used() == [second]
    assert site.aws.stats()["signed_by"] == {"AKIDLONGTERM": 1, first: 1}


def test_a_profile_may_be_its_own_source(site):
    """As SDKs have it: its keys assume its role."""
    profile = f"[default]\nrole_arn = {role_arn('own')}\nsource_profile = default\n" + site.lines("OWN", delivers=False)
    environment = site.sts(own={"by": "AKIDOWN"})
    with site.serve(environment | {"AWS_CONFIG_FILE": site.write("config", profile)}) as httpd:
        site.deliver(httpd)
    assert site.used() == site.aws.issued("sts")


SOURCES = {
    "Environment": lambda site: site.environment("LONGTERM", delivers=False),
    "Ec2InstanceMetadata": lambda site: site.instance(),
    "EcsContainer": lambda site: site.container(),
}


@pytest.mark.parametrize("source", SOURCES)
def test_credential_source(site, source):
    profile = f"[profile sourced]\nrole_arn = {role_arn('sourced')}\ncredential_source = {source}\n"
    environment = site.sts(sourced={}) | {"AWS_CONFIG_FILE": site.write("config", profile)} | SOURCES[source](site)
    with site.serve(environment, "profile=sourced") as httpd:
        site.deliver(httpd)
    assert site.used() == site.aws.issued("sts")
    assert len(site.aws.stats()["signed_by"]) == 1


def test_the_stream_s_role_is_assumed_with_what_was_found(site):
    environment = site.sts(collector={"by": "AKIDLONGTERM", "external_id": "x:1"})
    environment |= site.environment("LONGTERM", delivers=False)
    with site.serve(environment, f"role={role_arn('collector')} external_id=x:1") as httpd:
        site.deliver(httpd)
        site.deliver(httpd, range(5, 10))
    assert site.used() == site.aws.issued("sts") and len(site.used()) == 1


def test_a_role_that_may_not_be_assumed_is_named(site):
    environment = site.sts(collector={"external_id": "x1"}) | site.environment("LONGTERM", delivers=False)
    with site.serve(environment, f"role={role_arn('collector')}", expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", "AccessDenied", re.escape(role_arn("collector")))
    assert site.fake.stats()["requests"] == 0


WRONG_PROFILES = {
    "loop": ("[default]\nrole_arn = {arn}a\nsource_profile = b\n[profile b]\nrole_arn = {arn}b\nsource_profile = default\n",
             "source_profile"),
    "source profile that is not there": ("[default]\nrole_arn = {arn}a\nsource_profile = nobody\n", r"nobody"),
    "role without a source": ("[default]\nrole_arn = {arn}a\n", "source_profile"),
    "two sources": ("[default]\nrole_arn = {arn}a\nsource_profile = b\ncredential_source = Environment\n"
                    "[profile b]\naws_access_key_id = x\naws_secret_access_key = y\n", "credential_source"),
    "source that is none": ("[default]\nrole_arn = {arn}a\ncredential_source = Moon\n", "Ec2InstanceMetadata"),
    "single sign-on": ("[default]\nsso_session = x\nsso_account_id = 1\nsso_role_name = y\n", r"sso|[Ss]ingle sign"),
    "a second factor": ("[default]\nrole_arn = {arn}a\nsource_profile = b\nmfa_serial = arn:aws:iam::1:mfa/me\n"
                        "[profile b]\naws_access_key_id = x\naws_secret_access_key = y\n", "mfa"),
    "half a key": ("[default]\naws_access_key_id = AKIDHALF\n", "aws_secret_access_key"),
}


@pytest.mark.parametrize("what", WRONG_PROFILES)
def test_a_profile_that_is_wrong_stops_the_search_and_is_explained(site, what):
    """Configured but wrong is not the same as not configured: another identity must not step in."""
    text, says = WRONG_PROFILES[what]
    environment = site.sts(a={}, b={}) | site.instance() | site.container()
    environment |= {"AWS_CONFIG_FILE": site.write("config", text.format(arn=role_arn("")))}
    with site.serve(environment, expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", says)
    assert site.fake.stats()["requests"] == 0
    assert "sts AssumeRole" not in site.aws.stats()["requests"]


# --- a program ---

def program_output(site, name="PROCESS", **more):
    key, secret = site.key(name)
    return json.dumps({"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret, **more})


def process_profile(site, command):
    return {"AWS_CONFIG_FILE": site.write("config", f"[default]\ncredential_process = {command}\n")}


def test_credential_process(site):
    """No shell, but a shell's words; and as AWS's SDKs have it, without an end it is for ever."""
    marker = site.folder / "never"
    program = site.program("give keys", f"[ \"$1\" = 'two words' ] && [ $# = 3 ] && cat <<'END'\n{program_output(site)}\nEND\n")
    command = f"\"{program}\" 'two words' \\; \"$(touch {marker})\""
    with site.serve(process_profile(site, command)) as httpd:
        site.deliver(httpd)
    assert site.used() == ["AKIDPROCESS"]
    assert not marker.exists()


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.123456Z", "%Y-%m-%dT%H:%M:%S+00:00",
                                  "%Y-%m-%dT%H:%M:%S+02:00"])
def test_credential_process_with_an_end(site, form):
    """The same program gives others next time, and it is time for them five minutes before the end."""
    east = 7200 if "+02" in form else 0
    end = time.strftime(form, time.gmtime(time.time() + 600 + east))
    first, second = program_output(site, "FIRST", Expiration=end), program_output(site, "SECOND")
    count = site.writable("count")
    program = site.program("give", f"echo >>{count}\n[ $(wc -l <{count}) = 1 ] && echo '{first}' || echo '{second}'\n")
    with site.serve(process_profile(site, program), expected=["clock"]) as httpd:
        for number, (seconds, used) in enumerate([(200, ["AKIDFIRST"]), (400, ["AKIDFIRST", "AKIDSECOND"])]):
            site.set_clock(seconds)
            for event in range(3):  # the answer to the first tells AWS's time
                site.deliver(httpd, [3 * number + event])
            assert site.used() == used
    assert count.read_text().count("\n") == 2


BAD_PROGRAMS = {
    "garbage": "echo 'not JSON, but {secret}'",
    "failure": "echo 'no: {secret}' >&2; exit 3",
    "another version": "echo '{{\"Version\": 2, \"AccessKeyId\": \"AKIDX\", \"SecretAccessKey\": \"{secret}\"}}'",
    "half a key": "echo '{{\"Version\": 1, \"SecretAccessKey\": \"{secret}\"}}'",
    "key with a line break": "echo '{{\"Version\": 1, \"AccessKeyId\": \"A\\r\\nX: y\", \"SecretAccessKey\": \"{secret}\"}}'",
    "too much": "echo {secret} >&2; while :; do echo {secret}; done",
    "killed": "echo {secret}; kill -9 $$",
}


@pytest.mark.parametrize("what", BAD_PROGRAMS)
def test_a_program_that_fails_is_named_and_what_it_says_is_not(site, what):
    program = site.program("bad-program", BAD_PROGRAMS[what].format(secret=site.secret()) + "\n")
    with site.serve(process_profile(site, program) | site.instance(), expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", "credential_process")
    assert site.fake.stats()["requests"] == 0
    assert site.aws.stats()["requests"] == {}


def test_a_program_that_is_not_there_is_named(site):
    with site.serve(process_profile(site, "/nowhere/at-all --key"), expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", "credential_process", "No such file")


def test_a_program_that_hangs_is_killed(site):
    """After 10 s, with its children; and meanwhile events are answered as ever."""
    pid = site.writable("pid")
    program = site.program("hangs", f"sleep 600 & echo $! >{pid}; wait\n")
    with site.serve(process_profile(site, program), expected=TROUBLE) as httpd:
        site.post(httpd)
        number = int(wait_for(lambda: pid.read_text().strip(), what="the program"))
        assert slowest(httpd, site) < 0.5
        wait_for_line(httpd, "stream clicks: ", "credential_process", "10 s")
        wait_for(lambda: not is_running(number), what="the program's end")


def test_a_stop_does_not_wait_for_a_program_that_hangs(site):
    pid = site.writable("pid")
    program = site.program("hangs", f"echo $$ >{pid}\nexec sleep 600\n")
    with site.serve(process_profile(site, program)) as httpd:
        site.post(httpd)
        number = int(wait_for(lambda: pid.read_text().strip(), what="the program"))
        before = time.monotonic()
        httpd.process.terminate()
        assert httpd.process.wait(timeout=8) == 0
        assert time.monotonic() - before < 4
        wait_for(lambda: not is_running(number), what="the program's end")


def slowest(httpd, site, count=20):
    """The longest that one of some requests had to wait, in seconds."""
    times = []
    for number in range(100, 100 + count):
        before = time.monotonic()
        site.post(httpd, [number])
        times.append(time.monotonic() - before)
    return max(times)


# --- web identity ---

def test_web_identity_reads_a_token_that_was_rotated(site):
    """What the first token gave is refused after a moment; the file has another by then."""
    first, second = site.secret("token"), site.secret("token")
    environment = site.web_identity("web", first)
    site.aws.settings(lives={"sts": [[1, 3600], [3600, 3600]]})
    with site.serve(environment, expected=TROUBLE) as httpd:
        site.deliver(httpd)
        site.web_identity("web", second)
        expire(site, "sts")
        site.deliver(httpd, range(5, 10))
    assert site.used() == site.aws.issued("sts") and len(site.used()) == 2


def test_web_identity_in_a_profile(site):
    token = site.secret("token")
    path = site.web_identity("web", token)["AWS_WEB_IDENTITY_TOKEN_FILE"]
    profile = f"[default]\nrole_arn = {role_arn('web')}\nweb_identity_token_file = {path}\nrole_session_name = pod-7\n"
    environment = site.sts(web={"token": token, "session_name": "pod-7"})
    with site.serve(environment | {"AWS_CONFIG_FILE": site.write("config", profile)}) as httpd:
        site.deliver(httpd)
    assert site.used() == site.aws.issued("sts")


def failing(site, fault):
    """That fault, and no variable more."""
    site.aws.faults([fault])
    return {}


WEB_TROUBLE = {
    "expired token": (lambda site: site.sts(web={"token": "x", "expired_tokens": [site.secrets[0]]}), "ExpiredToken"),
    "forged token": (lambda site: site.sts(web={"token": "x"}), "InvalidIdentityToken"),
    "role that is not there": (lambda site: site.sts(other={}), "AccessDenied"),
    "no file": (lambda site: {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"}, "/nowhere/token"),
    "error of STS": (lambda site: failing(site, {"kind": "status", "source": "sts"}), "InternalFailure"),
    "garbage of STS": (lambda site: failing(site, {"kind": "garbage", "body": "<a>" + site.secrets[0]}), "sts|STS"),
    "answer without credentials": (lambda site: failing(site, {"kind": "garbage", "body": "<a/>"}), "sts|STS"),
    "no STS": (lambda site: {"AWS_ENDPOINT_URL_STS": f"https://localhost:{free_port()}"}, "sts|STS"),
}


@pytest.mark.parametrize("what", WEB_TROUBLE)
def test_web_identity_that_fails_stops_the_search_and_is_explained(site, what):
    environment = site.web_identity("web", site.secret("token")) | site.instance()
    more, says = WEB_TROUBLE[what]
    with site.serve(environment | more(site), expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", says)
    assert site.fake.stats()["requests"] == 0
    assert not any(name.startswith("metadata") for name in site.aws.stats()["requests"])


def test_a_stop_does_not_wait_for_sts(site):
    environment = site.web_identity("web", site.secret("token"))
    site.aws.faults([{"kind": "hang", "source": "sts"}])
    with site.serve(environment) as httpd:
        site.post(httpd)
        wait_for(lambda: site.aws.faults()[0]["hits"], what="a request that hangs")
        before = time.monotonic()
        httpd.stop()
        assert time.monotonic() - before < 3


# --- container ---

def expire(site, source):
    """Waits until Firehose refuses what the source handed out last, whatever its end was said to be."""
    end = [made["expires"] for made in site.aws.stats()["issued"] if made["source"] == source][-1]
    wait_for(lambda: time.time() > end, what="the end of those credentials")


def test_container_with_a_token_file(site):
    """The file is read each time: Kubernetes rotates it."""
    first, second = site.secret("Bearer"), site.secret("Bearer")
    token = site.write("token", first)
    site.aws.settings(container_authorization=first, lives={"container": [[1, 3600], [3600, 3600]]})
    with site.serve(site.container(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token), expected=TROUBLE) as httpd:
        site.deliver(httpd)
        site.write("token", second)
        site.aws.settings(container_authorization=second)
        expire(site, "container")
        site.deliver(httpd, range(5, 10))
    assert site.used() == site.aws.issued("container") and len(site.used()) == 2


def test_container_with_a_token(site):
    token = site.secret("Bearer")
    site.aws.settings(container_authorization=token)
    with site.serve(site.container(AWS_CONTAINER_AUTHORIZATION_TOKEN=token)) as httpd:
        site.deliver(httpd)
    assert site.used() == site.aws.issued("container")


FOREIGN = "AWS_CONTAINER_CREDENTIALS_FULL_URI.*https://"
CONTAINER_TROUBLE = {
    "wrong token": (lambda site: {"AWS_CONTAINER_AUTHORIZATION_TOKEN": site.secret()}, "401"),
    "token of two lines": (lambda site: {"AWS_CONTAINER_AUTHORIZATION_TOKEN": f"{site.secret()}\r\nX: {site.secret()}"},
                           "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    "no token file": (lambda site: {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere/token"}, "/nowhere/token"),
    "no such path": (lambda site: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": site.aws.container_url + "/v2/nobody"}, "404"),
    "garbage": (lambda site: failing(site, {"kind": "garbage", "body": '{"a": "%s"' % site.secret()}), "container"),
    "half a key": (lambda site: failing(site, {"kind": "garbage", "body": '{"AccessKeyId":"A","Token":"%s"}' % site.secret()}), "container"),
    # A machine in the network could read the token, and would be believed.
    "foreign host": (lambda site: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}, FOREIGN.replace(".*", ".*192.0.2.1.*")),
    "foreign name": (lambda site: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1.example.com/x"}, FOREIGN),
    "loopback as a user": (lambda site: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost@192.0.2.1/x"}, FOREIGN),
    "another scheme": (lambda site: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"file://{site.write('x', '{}')}"}, FOREIGN),
}


@pytest.mark.parametrize("what", CONTAINER_TROUBLE)
def test_a_container_that_fails_stops_the_search_and_is_explained(site, what):
    more, says = CONTAINER_TROUBLE[what]
    site.aws.settings(container_authorization=site.secret())
    environment = site.container(AWS_CONTAINER_AUTHORIZATION_TOKEN=site.secret()) | site.instance()
    with site.serve(environment | more(site), expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", says)
    assert site.fake.stats()["requests"] == 0
    assert not any(name.startswith("metadata") for name in site.aws.stats()["requests"])


# --- instance metadata ---

def test_no_instance_is_asked_where_that_is_disabled(site):
    with site.serve(site.instance() | {"AWS_EC2_METADATA_DISABLED": "True"}, expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", "credentials")
    assert site.aws.stats()["requests"] == {}


INSTANCE_TROUBLE = {
    "no role": (lambda site: site.aws.settings(instance_role=None), "role"),
    "error": (lambda site: site.aws.faults([{"kind": "status", "source": "metadata", "path": "credentials"}]), "500"),
    "garbage": (lambda site: site.aws.faults([{"kind": "garbage", "path": "credentials", "body": site.secret()}]), "metadata"),
    "refusal in a 200": (lambda site: site.aws.faults([
        {"kind": "garbage", "path": "credentials", "body": '{"Code":"AssumeRoleUnauthorizedAccess","Message":"no"}'}]),
        "AssumeRoleUnauthorizedAccess|metadata"),
    "version 1 alone": (lambda site: site.aws.faults([{"kind": "status", "path": "token", "code": 404}]), "metadata"),
    "role that is none": (lambda site: site.aws.faults([{"kind": "garbage", "path": "role", "body": "<html>"}]), "metadata"),
}


@pytest.mark.parametrize("what", INSTANCE_TROUBLE)
def test_an_instance_that_fails_is_explained_and_then_heals(site, what):
    trouble, says = INSTANCE_TROUBLE[what]
    trouble(site)
    with site.serve(site.instance(), expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", says)
    assert site.fake.stats()["requests"] == 0


def test_an_instance_that_hangs_costs_no_request_anything(site):
    site.aws.faults([{"kind": "hang", "seconds": 60}])
    with site.serve(site.instance(), expected=TROUBLE) as httpd:
        before = time.monotonic()
        site.post(httpd)
        wait_for(lambda: site.aws.faults()[0]["hits"], what="a request that hangs")
        assert slowest(httpd, site) < 0.5
        wait_for_line(httpd, "stream clicks: ", "metadata", "AWS_EC2_METADATA_DISABLED|credentials")
        assert time.monotonic() - before < 8  # 1 s, three times, and the machine may be busy
        before = time.monotonic()
        httpd.stop()
        assert time.monotonic() - before < 4


# --- the region ---

REGIONS = {
    "stream": ("eu-west-3", {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}),
    "AWS_REGION": (None, {"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "b"}),
    "AWS_DEFAULT_REGION": (None, {"AWS_DEFAULT_REGION": "eu-west-3"}),
    "the stream's profile": (None, {}),
    "the instance": (None, {}),
}


@pytest.mark.parametrize("what", REGIONS)
def test_where_the_region_comes_from(site, what):
    """Each place has another; the fake Firehose takes the signatures of eu-west-3 only."""
    region, variables = REGIONS[what]
    of_profile = {"the stream's profile": "region = eu-west-3\n", "the instance": ""}.get(what, "region = c\n")
    config = f"[profile regional]\n{of_profile}{site.lines('REGIONAL')}[default]\nregion = d\n"
    site.fake.set_region("eu-west-3")
    site.aws.settings(region="eu-west-3" if what == "the instance" else "e")
    with site.serve(site.instance() | variables | {"AWS_CONFIG_FILE": site.write("config", config)}, "profile=regional",
                    region=region) as httpd:
        site.deliver(httpd)
    assert site.used() == ["AKIDREGIONAL"]


def test_sts_is_asked_in_the_stream_s_region(site):
    site.aws.settings(region="eu-west-3")
    site.fake.set_region("eu-west-3")
    environment = site.sts(collector={}) | site.environment("LONGTERM", delivers=False)
    with site.serve(environment, f"role={role_arn('collector')}", region="eu-west-3") as httpd:
        site.deliver(httpd)


def test_without_a_region_the_events_wait_and_the_log_says_what_to_write(site):
    environment = site.environment("KEY")
    with site.serve(environment, region=None, expected=TROUBLE) as httpd:
        assert httpd.check()[0] == 0
        site.post(httpd)
        wait_for_line(httpd, "stream clicks: ", "region=", "AWS_REGION")
        assert site.fake.stats()["requests"] == 0
        httpd.stop()
        httpd.environment["AWS_REGION"] = "us-east-1"
        httpd.start()
        site.wait_until_there()


# --- nothing at all ---

def test_without_credentials_the_events_wait_until_a_file_appears(site):
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(site.folder / "aws/credentials")}
    with site.serve(environment, expected=TROUBLE) as httpd:
        site.post(httpd)
        line = wait_for_line(httpd, "stream clicks: ", "credentials")
        for word in ("AWS_ACCESS_KEY_ID", "credentials="):
            assert word in line
        site.write("credentials", f"[default]\n{site.lines('LATE')}")
        site.wait_until_there(seconds=30)
        wait_for_line(httpd, "delivers again")
        assert len([line for line in httpd.log().splitlines() if "delivery has failed" in line]) == 1
    assert site.used() == ["AKIDLATE"]


# --- rotation ---

ROTATING = {"container": lambda site: site.container(), "metadata": lambda site: site.instance(),
            "sts": lambda site: site.web_identity("web", site.secret())}


@pytest.mark.parametrize("source", ROTATING)
def test_rotation_in_the_middle_of_load(site, source):
    """Others are fetched five minutes before the end, and none is ever refused: AWS's time jumps towards it, by less
    than makes a signature too old."""
    site.aws.settings(lives={source: [[600, 600]]})
    with site.serve(ROTATING[source](site), expected=["clock"]) as httpd:
        with Load(httpd.port, clients=4, total=10**9, pause=0.005) as load:
            for rotation in range(1, 5):
                wait_for(lambda count=rotation: len(site.used()) == count, what="the next key")
                site.set_clock(rotation * 400)
        wait_for(lambda: len(lines_of(site.fake)) >= len(load.ledger.promised), 30, "the events")
    assert load.ledger.check(lines_of(site.fake)) == 0
    assert set(load.ledger.statuses) == {200}
    stats = site.fake.stats()
    assert set(stats["by_result"]) == {"ok"}
    issued = site.aws.issued(source)
    assert site.used() == issued and len(issued) in (4, 5)
    print(f"\nrotation of {source}: {len(load.ledger.promised)} events, {len(issued)} keys, {stats['requests']} requests")


@pytest.mark.parametrize("source", ROTATING)
def test_an_expired_key_is_refused_once_and_a_refresh_heals_it(site, source):
    """Firehose refuses them long before the end that was told, as it does when a role's sessions are revoked."""
    site.aws.settings(lives={source: [[1.5, 3600], [3600, 3600]]})
    with site.serve(ROTATING[source](site), expected=TROUBLE) as httpd:
        with Load(httpd.port, clients=4, total=10**9, pause=0.005) as load:
            wait_for(lambda: len(site.used()) == 2, 20, "the second key")
        wait_for(lambda: len(lines_of(site.fake)) >= len(load.ledger.promised), 30, "the events")
        wait_for_line(httpd, "delivery has failed", "ExpiredToken")
        wait_for_line(httpd, "delivers again")
    assert load.ledger.check(lines_of(site.fake)) == 0
    assert set(load.ledger.statuses) == {200}
    assert set(site.fake.stats()["by_result"]) == {"ok", "ExpiredTokenException"}
    assert site.used() == site.aws.issued(source)


def test_refusals_force_one_refresh_a_minute(site):
    """Whatever comes is refused, so that asking again and again would only burden the source."""
    site.aws.settings(lives={"container": [[-1, 3600]]})
    with site.serve(site.container(), expected=TROUBLE) as httpd:
        site.post(httpd)
        wait_for(lambda: site.fake.stats()["requests"] >= 5, what="the refusals")
        # While it stops, the other child may become the sender for a moment, and ask for itself.
        assert len(site.aws.issued("container")) == 2


def test_lives_of_seconds_are_used_to_their_end(site):
    """Told honestly: no more than one is asked for a minute before the end, and the next at it."""
    site.aws.settings(lives={"container": [[3, 3], [3600, 3600]]})
    with site.serve(site.container(), expected=TROUBLE) as httpd:
        with Load(httpd.port, clients=2, total=10**9, pause=0.01) as load:
            wait_for(lambda: len(site.used()) == 2, 20, "the second key")
        wait_for(lambda: len(lines_of(site.fake)) >= len(load.ledger.promised), 30, "the events")
    assert load.ledger.check(lines_of(site.fake)) == 0
    assert site.used() == site.aws.issued("container")


def test_the_old_ones_are_used_while_no_new_ones_can_be_had(site):
    """It is time for others, but the endpoint fails: one line, one attempt a minute, and everything is delivered."""
    site.aws.settings(lives={"container": [[600, 600]]})
    with site.serve(site.container(), expected=["clock", "could not be renewed"]) as httpd:
        site.deliver(httpd)
        site.aws.faults([{"kind": "status", "source": "container"}])
        site.set_clock(400)
        for number in range(5, 10):
            site.deliver(httpd, [number])
        wait_for_line(httpd, "stream clicks: ", "could not be renewed", "HTTP 500")
        assert httpd.log().count("could not be renewed") == 1
        assert site.aws.faults()[0]["hits"] == 3  # of one refresh
        site.aws.faults([])
        site.set_clock(500)
        for number in range(10, 13):
            site.deliver(httpd, [number])
    assert site.used() == site.aws.issued("container") and len(site.used()) == 2
    assert set(site.fake.stats()["by_result"]) == {"ok"}


# --- the clock ---

def lines_about_the_clock(httpd):
    return [line for line in httpd.log().splitlines() if "this machine's clock is" in line or "clock agrees" in line]


@pytest.mark.parametrize("seconds", [420, -420, 7200, -7200])
def test_a_clock_that_is_off_is_corrected_for(site, seconds):
    """AWS's clock is `seconds` ahead of this machine's. AWS takes what is off by less than 15 minutes."""
    site.fake.set_clock(seconds)
    with site.serve(site.environment("KEY"), expected=[*TROUBLE, "clock is"]) as httpd:
        site.deliver(httpd)
        line = wait_for_line(httpd, "stream clicks: ", "this machine's clock is", "NTP")
        told = int(re.search(r"clock is (\d+) s", line)[1])
        assert abs(told - abs(seconds)) <= 2
        assert ("behind" in line) == (seconds > 0)
        site.deliver(httpd, range(5, 10))
        assert abs(site.fake.stats()["skew"]) < 5
        assert lines_about_the_clock(httpd) == [line]
        site.fake.set_clock(0)
        for number in range(10, 13):
            site.deliver(httpd, [number])
        assert abs(site.fake.stats()["skew"]) < 5
        assert len(lines_about_the_clock(httpd)) == 2
    assert site.fake.stats()["by_result"].get("InvalidSignatureException", 0) == (2 if abs(seconds) > 900 else 0)


@pytest.mark.parametrize("seconds", [7200, -7200])
@pytest.mark.parametrize("source", ["role", "container"])
def test_temporary_credentials_on_a_machine_whose_clock_is_off(site, source, seconds):
    """Their end is told in AWS's time: by this machine's they would be over already, or last too long."""
    site.set_clock(seconds)
    if source == "role":
        environment = site.sts(collector={}) | site.environment("LONGTERM", delivers=False)
        options = f"role={role_arn('collector')}"
    else:
        environment, options = site.container(), ""
    with site.serve(environment, options, expected=[*TROUBLE, "clock"]) as httpd:
        site.deliver(httpd)
        site.deliver(httpd, range(5, 10))
        wait_for_line(httpd, "stream clicks: ", "clock", "NTP")
    assert len(site.used()) == 1


# --- the addresses that cannot be changed ---

def at_link_local_addresses():
    """In a network of its own: what AWS has at 169.254.170.2 and 169.254.169.254."""
    options = ["--container", "169.254.170.2:80", "--metadata", "169.254.169.254:80"]
    with running_fake() as fake, running_aws(fake, options) as aws:
        for variables, key in (({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/0"}, CONTAINER),
                               ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/v2/credentials/0"}, CONTAINER),
                               ({}, INSTANCE)):
            site = Site(fake, aws)
            with site.serve({**variables, "http_proxy": "http://127.0.0.1:1"}, instance=True) as httpd:
                site.deliver(httpd)
            assert [used[:len(key)] for used in site.used()] == [key], variables
            site.close()


def test_the_link_local_addresses():
    own_network(at_link_local_addresses, ["169.254.170.2", "169.254.169.254"])


# --- what others can see ---


def test_a_program_gets_httpd_s_own_environment(site):
    """And nothing that we know besides; its arguments are the profile's."""
    dump = site.writable("environment")
    output = program_output(site)
    program = site.program("give", f"{{ tr '\\0' '\\n' </proc/$$/environ; echo \"$@\"; }} >{dump}\ncat <<'END'\n{output}\nEND\n")
    with site.serve(process_profile(site, f"{program} word")) as httpd:
        site.deliver(httpd)
        *lines, arguments = dump.read_text().splitlines()
        assert arguments == "word"
        assert {line.split("=")[0] for line in lines} <= set(httpd.environment)
        site.hunt_in({"its environment": dump.read_bytes()})


def test_what_firehose_says_of_an_event_may_hold_what_we_sent(site):
    """The session token goes with each request, and an answer could have it: in a log, in the status, in NAME.rejected."""
    site.aws.settings(lives={"container": [[3600, 3600]]})
    with site.serve(site.container(), expected=["will never take an event"]) as httpd:
        site.deliver(httpd)
        session = [text for text in site.aws.secrets() if len(text) > 100]  # of all that is secret it alone is sent
        assert session
        site.fake.faults([{"kind": "status", "code": 400, "matching": '"number":7,', "error_type": "ValidationException",
                           "body": json.dumps({"__type": "ValidationException", "message": f"refused: {' '.join(session)}"})}])
        site.post(httpd, [7])
        rejected = httpd.queues / "clicks.rejected"
        wait_for(lambda: rejected.exists() and rejected.read_text().count("\n") == 1, what="the rejected event")
        assert "ValidationException" in rejected.read_text()


def test_secrets_and_tokens_of_clients(site):
    """Tokens that are good, bad and too long to be any, in the places that a client may put them."""
    good = token(HS256, payload(), hs256)
    bad = token(HS256, payload(), lambda text: hs256(text, b"another"))
    long = "x" * 40 + "y" * 9000
    site.secrets += [SECRET.decode(), *good.split(".")[1:], bad.split(".")[2], long]
    directives = f"ClickstreamAuth jwt\nClickstreamClient touchwood-app secret={token_keys()}/app.secret"
    statuses = []
    with site.serve(site.environment("KEY"), location=directives, expected=["is no token", "unauthorized"]) as httpd:
        for text in (good, bad, long):  # the last one is too long for a header as well
            headers = HEADERS | {"Authorization": f"Bearer {text}", "Cookie": f"session={text[-40:]}"}
            statuses.append(httpd.post(event(1), headers=headers).status)
        site.wait_until_there([1])
    assert statuses == [200, 401, 400]


# --- the hunt ---

def test_the_hunt_finds_a_secret():
    assert found_in(b"x a%2Fb%2B%3D y", ["a/b+="]) == ["a/b+="]
    assert found_in(b'{"k":"a\\/b+="}', ["a/b+=", "other"]) == ["a/b+="]
    assert found_in(b"begins with " + b"x" * 30 + b" and is cut", ["x" * 30 + " and more"]) == ["x" * 30 + " and more"]
    assert found_in(b"nothing", ["a/b+="]) == []
