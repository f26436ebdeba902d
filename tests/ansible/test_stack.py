"""The CloudFormation templates: references, AWS's schemas, and the only permissions that they may give.

There is no CloudFormation here, so this says that the templates make sense, not that AWS takes them. Each rule is seen to
fail on copies with one mistake. Where cfn-lint is on the PATH it is asked as well.
"""
# SPDX-License-Identifier: Apache-2.0

import base64
import copy
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE.parents[1] / "ansible/roles/clickstream_aws/files"
WEBAPP_CONF = HERE.parents[1] / "httpd-conf/webapp.conf"
TEMPLATES = ("clickstream-stack.yml", "clickstream-webapp.yml")

schemas_missing = None if shutil.which("node") and (HERE / "node_modules/@aws-cdk/aws-service-spec").is_dir() else \
    "no node or no aws-service-spec here (tests/ansible/install gets them)"
assert not schemas_missing or os.environ.get("CI") != "true", schemas_missing


class Loader(yaml.SafeLoader):
    """Reads !Ref and its like as {"Ref": ...} and {"Fn::...": ...}."""


def function(loader, tag, node):
    value = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: functools.partial(loader.construct_sequence, deep=True),
             yaml.MappingNode: functools.partial(loader.construct_mapping, deep=True)}[type(node)](node)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


Loader.add_multi_constructor("!", function)
# CloudFormation's YAML is version 1.1 as PyYAML's, but dates stay text.
Loader.yaml_implicit_resolvers = {key: [(tag, form) for tag, form in rules if tag != "tag:yaml.org,2002:timestamp"]
                                  for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}


@functools.cache
def loaded(name):
    return yaml.load((FILES / name).read_text(), Loader)


def template(name):
    return copy.deepcopy(loaded(name))


def nodes(value):
    """Every map below, itself included."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from nodes(part)


# --- references ---

PSEUDO = {f"AWS::{name}" for name in ("AccountId", "NoValue", "Partition", "Region", "StackName")}


def substituted(value):
    """The names in the braces of a Fn::Sub, without those that it gives itself."""
    text, own = value if isinstance(value, list) else (value, {})
    return {name for name in re.findall(r"\$\{([^!}][^}]*)\}", text)} - set(own)


def names_used(document):
    """What is referred to: parameters, resources (also by attribute), conditions."""
    for node in nodes(document):
        if "Ref" in node:
            yield "name", node["Ref"]
        if "Fn::Sub" in node:
            for name in substituted(node["Fn::Sub"]):
                yield "name", name.split(".")[0]
        if "Fn::GetAtt" in node:
            yield "resource", node["Fn::GetAtt"][0]
        if "Fn::If" in node:
            yield "condition", node["Fn::If"][0]
    for resource in document["Resources"].values():
        if "Condition" in resource:
            yield "condition", resource["Condition"]
        for other in [resource.get("DependsOn", [])] if isinstance(resource.get("DependsOn"), str) else resource.get("DependsOn", []):
            yield "resource", other


def dangling(document):
    known = {"name": {*document["Parameters"], *document["Resources"], *PSEUDO}, "resource": set(document["Resources"]),
             "condition": set(document["Conditions"])}
    used = set(names_used(document))
    unused = {("unused", name) for name in document["Parameters"] if ("name", name) not in used}
    unused |= {("unused", name) for name in document["Conditions"] if ("condition", name) not in used}
    return sorted({(kind, name) for kind, name in used if name not in known[kind]} | unused)


# --- permissions ---

BUCKET, OBJECTS = "arn:${AWS::Partition}:s3:::${Name}", "arn:${AWS::Partition}:s3:::${Name}/*"
LOG = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${Log}:log-stream:${DeliveryLog}"
WEB = "arn:${AWS::Partition}:s3:::${Bucket}"
# All that anybody may ever do: who, what, on what.
ALLOWED = {
    ("StreamRole", "s3:AbortMultipartUpload", OBJECTS), ("StreamRole", "s3:GetObject", OBJECTS), ("StreamRole", "s3:PutObject", OBJECTS),
    ("StreamRole", "s3:GetBucketLocation", BUCKET), ("StreamRole", "s3:ListBucket", BUCKET),
    ("StreamRole", "s3:ListBucketMultipartUploads", BUCKET), ("StreamRole", "logs:PutLogEvents", LOG),
    ("CollectorPolicy", "firehose:PutRecordBatch", "Stream.Arn"), ("CollectorPolicy", "firehose:DescribeDeliveryStream", "Stream.Arn"),
    ("cloudfront.amazonaws.com", "s3:GetObject", f"{WEB}/*"), ("cloudfront.amazonaws.com", "s3:ListBucket", WEB),
}
TRUST = {"StreamRole": "firehose.amazonaws.com", "CollectorRole": "ec2.amazonaws.com"}


def listed(value):
    return value if isinstance(value, list) else [value]


def resource_text(value):
    """A resource of a policy, as ALLOWED writes it."""
    if isinstance(value, str):
        return value
    if "Fn::GetAtt" in value:
        return ".".join(value["Fn::GetAtt"])
    text = value["Fn::Sub"]
    return text[0] if isinstance(text, list) else text


def policies(document):
    """Each policy document but those of trust, with the resource that has it."""
    for name, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        for policy in [properties, *properties.get("Policies", [])]:
            if "PolicyDocument" in policy:
                yield name, policy["PolicyDocument"]


def forbidden(document):
    """What the policies say beyond what is allowed, and what they do not say that they must."""
    found = []
    for name, policy in policies(document):
        for statement in policy["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            who = statement.get("Principal", {}).get("Service", name) if statement.get("Principal") != "*" else "*"
            if "Principal" in statement and "aws:SourceArn" not in str(statement.get("Condition")):
                found.append(f"{name}: a service may, whoever asks it to")
            found += [f"{who} may {action} on {resource_text(resource)}" for action in listed(statement["Action"])
                      for resource in listed(statement["Resource"]) if (who, action, resource_text(resource)) not in ALLOWED]
            found += [f"{name}: {key}" for key in ("NotAction", "NotResource", "NotPrincipal") if key in statement]
    for name, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            statement, = properties["AssumeRolePolicyDocument"]["Statement"]
            if statement["Principal"] != {"Service": TRUST[name]} or statement["Action"] != "sts:AssumeRole":
                found.append(f"{name}: somebody else may take the role")
            if name == "StreamRole" and "Condition" not in statement:
                found.append(f"{name}: for any account's stream")
            found += [f"{name}: a managed policy" for arn in properties.get("ManagedPolicyArns", []) if arn != {"Ref": "CollectorPolicy"}]
        if resource["Type"] in ("AWS::IAM::User", "AWS::IAM::AccessKey", "AWS::IAM::Group"):
            found.append(f"{name}: a user")
        if resource["Type"] == "AWS::S3::Bucket":
            found += exposed(name, properties, document)
    return found


def exposed(name, bucket, document):
    blocks = bucket.get("PublicAccessBlockConfiguration", {})
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    found = [f"{name}: {block}" for block in wanted if blocks.get(block) is not True]
    if "BucketEncryption" not in bucket:
        found.append(f"{name}: not encrypted")
    if bucket.get("OwnershipControls") != {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}:
        found.append(f"{name}: has access lists")
    tls_only = [statement for other in document["Resources"].values() if other["Type"] == "AWS::S3::BucketPolicy"
                for statement in other["Properties"]["PolicyDocument"]["Statement"]
                if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                and statement["Principal"] == "*" and statement["Action"] == "s3:*" and len(statement["Resource"]) == 2]
    return found + ([] if tls_only else [f"{name}: takes requests without TLS"])


# --- the rules hold, and can fail ---


def schema_mistakes(document):
    done = subprocess.run(["node", HERE / "schema.js"], input=json.dumps(document), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


RULES = {"references": dangling, "permissions": forbidden, "schemas": schema_mistakes}


def rule(name):
    if name == "schemas" and schemas_missing:
        pytest.skip(schemas_missing)
    return RULES[name]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("rule_name", RULES)
def test_template(name, rule_name):
    assert rule(rule_name)(template(name)) == []


def at(document, path):
    for key in path[:-1]:
        document = document[key]
    return document, path[-1]


def put(*path, value):
    def mutate(document):
        where, key = at(document["Resources"], path)
        where[key] = value
    return mutate


def remove(*path):
    def mutate(document):
        where, key = at(document["Resources"], path)
        del where[key]
    return mutate


def statement(name, number):
    return (*name, "PolicyDocument", "Statement", number)


STACK, WEBSTACK = TEMPLATES
DELIVER = ("StreamRole", "Properties", "Policies", 0)
COLLECT = ("CollectorPolicy", "Properties")
DESTINATION = ("Stream", "Properties", "ExtendedS3DestinationConfiguration")
MUTATIONS = {
    "a dangling Ref": (STACK, "references", put("BucketPolicy", "Properties", "Bucket", value={"Ref": "Buckett"})),
    "a dangling GetAtt": (STACK, "references", put(*DESTINATION, "RoleARN", value={"Fn::GetAtt": ["Role", "Arn"]})),
    "a dangling Sub": (STACK, "references", put(*DESTINATION, "Prefix", value={"Fn::Sub": "${Prefix}x"})),
    "a dangling condition": (STACK, "references", put("Table", "Condition", value="HasGlue")),
    "a parameter that nothing uses": (STACK, "references", put(*DESTINATION, "CompressionFormat", value="GZIP")),
    "one more action": (STACK, "permissions", put(*statement(COLLECT, 0), "Action", value=["firehose:PutRecordBatch", "firehose:DeleteDeliveryStream"])),
    "all actions of a service": (STACK, "permissions", put(*statement(COLLECT, 0), "Action", value="firehose:*")),
    "any stream": (STACK, "permissions", put(*statement(COLLECT, 0), "Resource", value="*")),
    "any bucket": (STACK, "permissions", put(*statement(DELIVER, 0), "Resource", value="arn:aws:s3:::*")),
    "a bucket and what begins like it": (STACK, "permissions", put(*statement(DELIVER, 0), "Resource", value={"Fn::Sub": BUCKET + "*"})),
    "deleting objects": (STACK, "permissions", put(*statement(DELIVER, 0), "Action", value=["s3:DeleteObject"])),
    "a managed policy": (STACK, "permissions", put("CollectorRole", "Properties", "ManagedPolicyArns", value=["arn:aws:iam::aws:policy/AmazonS3FullAccess"])),
    "a role for everybody": (STACK, "permissions", put("CollectorRole", "Properties", "AssumeRolePolicyDocument", "Statement", 0, "Principal", value={"AWS": "*"})),
    "a role for any account's stream": (STACK, "permissions", remove("StreamRole", "Properties", "AssumeRolePolicyDocument", "Statement", 0, "Condition")),
    "a user": (STACK, "permissions", put("Keys", value={"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": "x"}})),
    "public policies": (STACK, "permissions", put("Bucket", "Properties", "PublicAccessBlockConfiguration", "BlockPublicPolicy", value=False)),
    "no block of public access": (STACK, "permissions", remove("Bucket", "Properties", "PublicAccessBlockConfiguration")),
    "no encryption": (STACK, "permissions", remove("Bucket", "Properties", "BucketEncryption")),
    "access lists": (STACK, "permissions", remove("Bucket", "Properties", "OwnershipControls")),
    "requests without TLS": (STACK, "permissions", remove("BucketPolicy", "Properties", "PolicyDocument", "Statement", 0)),
    "a public app bucket": (WEBSTACK, "permissions", put("BucketPolicy", "Properties", "PolicyDocument", "Statement", 1, "Principal", value="*")),
    "any distribution": (WEBSTACK, "permissions", remove("BucketPolicy", "Properties", "PolicyDocument", "Statement", 1, "Condition")),
    "a misspelt property": (STACK, "schemas", put(*DESTINATION, "BufferingHint", value={})),
    "a missing property": (STACK, "schemas", remove(*DESTINATION, "BucketARN")),
    "a list for a text": (STACK, "schemas", put(*DESTINATION, "Prefix", value=["a"])),
    "a text for a number": (STACK, "schemas", put("ThrottlingAlarm", "Properties", "Period", value="often")),
    "a text for a list": (STACK, "schemas", put("CollectorProfile", "Properties", "Roles", value="x")),
    "an unknown resource": (STACK, "schemas", put("Log", "Type", value="AWS::Logs::Group")),
    "an unknown attribute": (STACK, "schemas", put("CollectorPolicy", "Properties", "PolicyDocument", "Statement", 0, "Resource",
                                                   value={"Fn::GetAtt": ["Stream", "ARN"]})),
    "a misspelt property of CloudFront": (WEBSTACK, "schemas", put("Distribution", "Properties", "DistributionConfig", "DefaultRoot", value="x")),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_found(name):
    file, rule_name, mutate = MUTATIONS[name]
    document = template(file)
    mutate(document)
    assert rule(rule_name)(document) != []


def test_every_permission_is_used():
    """What nobody has any more leaves the list."""
    given = {(statement.get("Principal", {}).get("Service", name), action, resource_text(resource))
             for file in TEMPLATES for name, policy in policies(template(file)) for statement in policy["Statement"]
             if statement["Effect"] == "Allow" for action in listed(statement["Action"]) for resource in listed(statement["Resource"])}
    assert given == ALLOWED


@pytest.mark.skipif(not shutil.which("cfn-lint"), reason="no cfn-lint here; Debian and npm have none of it, PyPI has")
@pytest.mark.parametrize("name", TEMPLATES)
def test_cfn_lint(name):
    done = subprocess.run(["cfn-lint", FILES / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- what the templates promise ---


def test_the_bucket_outlives_the_stack():
    for name in TEMPLATES:
        bucket = template(name)["Resources"]["Bucket"]
        assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_defaults_are_those_of_the_first_implementation():
    parameters = template(STACK)["Parameters"]
    assert [parameters[name]["Default"] for name in ("StreamName", "BufferMiB", "BufferSeconds", "Compression", "DataPrefix")] == \
        ["", 50, 60, "UNCOMPRESSED", ""]


def test_constraints_say_what_to_write():
    for name in TEMPLATES:
        for parameter in template(name)["Parameters"].values():
            assert "Description" in parameter
            assert "AllowedPattern" not in parameter or "ConstraintDescription" in parameter
            assert "AllowedPattern" not in parameter or re.fullmatch(parameter["AllowedPattern"], parameter["Default"])


def test_the_view_reads_the_table():
    """The view's text, which Athena reads, and its columns, which Glue shows, agree; it selects columns of the table."""
    resources = template(STACK)["Resources"]
    view, table = resources["View"]["Properties"]["TableInput"], resources["Table"]["Properties"]["TableInput"]
    begin, text, end = view["ViewOriginalText"]["Fn::Join"][1]
    assert (begin, end) == ("/* Presto View: ", " */")
    body = text["Fn::Base64"]["Fn::Sub"].replace("${Database}", "clickstream")
    assert base64.b64decode(base64.b64encode(body.encode())).decode() == body
    said = json.loads(body)
    types = {"timestamp": "timestamp", "varchar": "string", "double": "double"}
    assert [(column["name"], types[column["type"]]) for column in said["columns"]] == \
        [(column["Name"], column["Type"]) for column in view["StorageDescriptor"]["Columns"]]
    selected = re.match(r'SELECT (.*) FROM "clickstream"\.events$', said["originalSql"])[1]
    names = [part.rsplit(" ", 1)[-1] for part in re.split(r",\s*(?![^()]*\))", selected)]
    assert names == [column["name"] for column in said["columns"]]
    known = {column["Name"] for column in [*table["StorageDescriptor"]["Columns"], *table["PartitionKeys"]]}
    assert set(names) - {"at", "number"} <= known and "timestamp" in known and "value" in known


def test_the_table_finds_what_firehose_writes():
    parameters = template(STACK)["Resources"]["Table"]["Properties"]["TableInput"]["Parameters"]
    assert parameters["storage.location.template"]["Fn::Sub"][0] == "s3://${Name}/${DataPrefix}${!hour}/"
    assert (parameters["projection.hour.format"], parameters["projection.hour.interval.unit"]) == ("yyyy/MM/dd/HH", "HOURS")


def test_cloudfront_sends_the_headers_of_webapp_conf():
    config = template(WEBSTACK)["Resources"]["Headers"]["Properties"]["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    sent = {item["Header"]: item["Value"] for item in config["CustomHeadersConfig"]["Items"]}
    sent["Content-Security-Policy"] = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    sent["Referrer-Policy"] = security["ReferrerPolicy"]["ReferrerPolicy"]
    sent["X-Content-Type-Options"] = "nosniff" if security["ContentTypeOptions"] else None
    conf = dict(re.findall(r'^\s*Header always set (\S+) "?([^"\n]+)"?$', WEBAPP_CONF.read_text(), re.MULTILINE))
    assert sent == conf
