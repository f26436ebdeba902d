"""Runs aws.yml and remove.yml against a fake of CloudFormation and S3: what is asked of AWS, and what is not."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import re
import shutil
import subprocess

import fake_aws_stacks
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
ANSIBLE = TOP / "ansible"

if not shutil.which("ansible-playbook"):
    assert os.environ.get("CI") != "true", "ansible-playbook is missing"
    pytest.skip("no ansible-playbook here (tests/debian/install gets it)", allow_module_level=True)


@pytest.fixture
def account():
    with fake_aws_stacks.running() as account:
        yield account


def try_play(account, tmp_path, playbook, env=None, check=False, **variables):
    """The play's return code and what it printed, with line breaks as blanks."""
    arguments = ["-e", json.dumps(variables), *(["--check"] if check else [])]
    if env:
        (tmp_path / ".env.local").write_text(env)
        arguments += ["-e", f"env_file={tmp_path}/.env.local"]
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", *arguments, playbook], cwd=ANSIBLE, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "AWS_URL": account.url,
             "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "ANSIBLE_LOCALHOST_WARNING": "false"})
    return done.returncode, re.sub(r"\s+", " ", done.stdout)


def play(*arguments, **variables):
    """That of a play that must work."""
    code, said = try_play(*arguments, **variables)
    assert code == 0, said[-3000:]
    return said


ENV = """# The first implementation's
AWS_REGION=eu-west-1
export KSTREAM_STACK="poc-kstream"
LAMBDA_CODE_BUCKET=src-code-bucket
VPC_ID=vpc-1

DATA_BUCKET='the-data' # theirs
DATA_PREFIX=events/
WEBAPP_STACK=poc-webapp
WEBAPP_BUCKET=the-app
"""


def test_the_stream_and_then_nothing_more(account, tmp_path):
    said = play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1")
    assert "changed=1" in said and "CreateStack" in account.calls
    stack = account.stacks["clickstream"]
    assert stack["parameters"] == {
        "StreamName": "", "CreateDataBucket": "yes", "DataBucket": "", "DataPrefix": "", "ErrorPrefix": "errors/", "BufferMiB": "50",
        "BufferSeconds": "60", "Compression": "UNCOMPRESSED", "ExpirationDays": "0", "AlarmEmail": "", "FreshnessSeconds": "900",
        "Athena": "no", "AthenaDatabase": "clickstream"}
    assert stack["template"] == (ANSIBLE / "roles/clickstream_aws/files/clickstream-stack.yml").read_text().rstrip("\n")
    assert stack["capabilities"] == ["CAPABILITY_IAM"]
    assert "[{name: clickstream-Stream-1x, sink: firehose, options: {region: eu-west-1}}]" in said
    assert "instance profile clickstream-Profile-1x" in said
    assert "changed=0" in play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1")


def test_check_makes_nothing(account, tmp_path):
    assert "changed=2" in play(account, tmp_path, "aws.yml", check=True, AWS_REGION="eu-west-1", WEBAPP_STACK="web")
    assert (account.stacks, account.buckets) == ({}, {}) and "CreateStack" not in account.calls


def test_changed_variables_update_the_stack(account, tmp_path):
    play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1", DATA_BUCKET="the-data")
    said = play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1", DATA_BUCKET="the-data", clickstream_aws_gzip=True,
                clickstream_aws_athena=True, clickstream_aws_buffer_seconds=300)
    assert "changed=1" in said
    parameters = account.stacks["clickstream"]["parameters"]
    assert (parameters["Compression"], parameters["Athena"], parameters["BufferSeconds"]) == ("GZIP", "yes", "300")
    assert parameters["CreateDataBucket"] == "yes"  # the bucket that the stack has made is still the stack's


def test_the_first_implementations_variables(account, tmp_path):
    """With its bucket, which was there before, and its app, which goes to a bucket of its own."""
    account.buckets["the-data"] = {"2022/02/22/old": {}}
    said = play(account, tmp_path, "aws.yml", env=ENV)
    parameters = account.stacks["poc-kstream"]["parameters"]
    assert (parameters["DataBucket"], parameters["CreateDataBucket"], parameters["DataPrefix"]) == ("the-data", "no", "events/")
    assert account.stacks["poc-webapp"]["parameters"] == {"BucketName": "the-app", "CollectorName": "", "CollectorPath": "/poc-kstream/"}
    assert "Touchwood is at https://poc-webapp.cloudfront.example/" in said
    again = play(account, tmp_path, "aws.yml", env=ENV)
    assert account.stacks["poc-kstream"]["parameters"]["CreateDataBucket"] == "no" and "failed=0" in again


def test_the_apps_files(account, tmp_path):
    play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1", WEBAPP_STACK="web", clickstream_aws_webapp_collector="collect.example.com")
    assert account.stacks["web"]["parameters"]["CollectorName"] == "collect.example.com"
    files = account.buckets["web-bucket-1x"]
    wanted = {str(path.relative_to(TOP / "webapp")) for path in (TOP / "webapp").rglob("*") if path.is_file()}
    assert set(files) == {name for name in wanted if not name.endswith((".md", ".mjs"))}
    assert files["index.html"] == {**files["index.html"], "type": "text/html; charset=utf-8", "cache": "no-cache",
                                   "acl": "bucket-owner-full-control"}
    assert [files[name]["type"] for name in ("clickstream.js", "app.css", "manifest.webmanifest", "icon.svg")] == [
        "text/javascript; charset=utf-8", "text/css; charset=utf-8", "application/manifest+json", "image/svg+xml"]
    assert files["icon-192.png"]["cache"] == "public, max-age=86400"


def test_what_e_says_wins_over_the_file(account, tmp_path):
    play(account, tmp_path, "aws.yml", env="AWS_REGION=eu-west-1\nKSTREAM_STACK=one\n", KSTREAM_STACK="two")
    assert list(account.stacks) == ["two"]


@pytest.mark.parametrize("variables, expected", [
    ({}, "Say which region the stream is to be in"),
    ({"AWS_REGION": "Ireland"}, "Ireland is none"),
    ({"AWS_REGION": "eu-west-1", "clickstream_aws_buffer_mib": "much"}, "clickstream_aws_buffer_mib"),
])
def test_what_is_wrong_is_said(account, tmp_path, variables, expected):
    code, said = try_play(account, tmp_path, "aws.yml", **variables)
    assert code != 0 and expected in said and account.calls == []


def test_removing_keeps_the_data(account, tmp_path):
    play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1", WEBAPP_STACK="web")
    account.buckets["clickstream-bucket-1x"]["2026/01/31/23/object"] = {}
    said = play(account, tmp_path, "remove.yml", AWS_REGION="eu-west-1", WEBAPP_STACK="web")
    assert account.stacks == {} and set(account.buckets) == {"clickstream-bucket-1x", "web-bucket-1x"}
    assert "s3://clickstream-bucket-1x is kept with all that is in it" in said and "s3 rb --force s3://clickstream-bucket-1x" in said
    assert account.buckets["clickstream-bucket-1x"]
    assert "changed=0" in play(account, tmp_path, "remove.yml", AWS_REGION="eu-west-1", WEBAPP_STACK="web")


def test_removing_everything(account, tmp_path):
    play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1", WEBAPP_STACK="web")
    account.buckets["clickstream-bucket-1x"]["2026/01/31/23/object"] = {}
    play(account, tmp_path, "remove.yml", AWS_REGION="eu-west-1", WEBAPP_STACK="web", clickstream_aws_empty_buckets=True)
    assert (account.stacks, account.buckets) == ({}, {})


def test_a_bucket_of_before_is_never_removed(account, tmp_path):
    account.buckets["the-data"] = {"old": {}}
    play(account, tmp_path, "aws.yml", AWS_REGION="eu-west-1", DATA_BUCKET="the-data")
    said = play(account, tmp_path, "remove.yml", AWS_REGION="eu-west-1", DATA_BUCKET="the-data", clickstream_aws_empty_buckets=True)
    assert account.buckets == {"the-data": {"old": {}}} and "it was there before the stack" in said
