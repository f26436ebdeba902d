"""A fake of CloudFormation and S3, as much of them as aws.yml and remove.yml use: stacks come at once, and nothing else happens.

What a template's resources would be is not known here; the outputs are made up of the stack's name and parameters.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import http.server
import re
import threading
import urllib.parse
from xml.sax.saxutils import escape

CFN = 'xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"'
S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
TIME = "2026-01-31T23:59:59.000Z"


def xml(name, value, attributes=""):
    """An element of text, of members by name, or of a list of such."""
    if isinstance(value, dict):
        inner = "".join(xml(key, part) for key, part in value.items())
    elif isinstance(value, list):
        inner = "".join(xml("member", part) for part in value)
    else:
        inner = escape(str(value))
    return f"<{name} {attributes}>{inner}</{name}>" if attributes else f"<{name}>{inner}</{name}>"


class Refused(Exception):
    """A ValidationError, as CloudFormation has it."""


class Account:
    """The stacks by name, and the buckets with the keys of their objects."""

    def __init__(self):
        self.stacks, self.buckets, self.calls = {}, {}, []

    # --- CloudFormation ---

    def stack(self, name):
        name = name.split("/")[1] if "/" in name else name
        if name not in self.stacks:
            raise Refused(f"Stack with id {name} does not exist")
        return self.stacks[name]

    def given(self, query):
        """What a create or an update is to make: the template and each of its parameters with its value."""
        numbers = sorted({key.split(".")[2] for key in query if key.startswith("Parameters.member.")})
        parameters = {query[f"Parameters.member.{number}.ParameterKey"]: query[f"Parameters.member.{number}.ParameterValue"]
                      for number in numbers}
        return {"template": query["TemplateBody"], "parameters": parameters}

    def create(self, query):
        name, given = query["StackName"], self.given(query)
        made = given["parameters"].get("CreateDataBucket", "yes") == "yes"
        bucket = given["parameters"].get("DataBucket", given["parameters"].get("BucketName")) or f"{name}-bucket-1x"
        if made:
            if bucket in self.buckets:
                raise Refused(f"{bucket} already exists")
            self.buckets[bucket] = {}
        web = "CollectorName" in given["parameters"]
        outputs = {"Bucket": bucket, "Distribution": "E1", "Address": f"https://{name}.cloudfront.example/"} if web else {
            "StreamName": given["parameters"]["StreamName"] or f"{name}-Stream-1x", "DataBucket": bucket,
            "StreamArn": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/x",
            "CollectorPolicyArn": "arn:aws:iam::123456789012:policy/x", "CollectorProfile": f"{name}-Profile-1x"}
        self.stacks[name] = {"name": name, **given, "outputs": outputs, "status": "CREATE_COMPLETE",
                             "capabilities": [value for key, value in query.items() if key.startswith("Capabilities.")]}
        return {"StackId": self.identity(name)}

    def identity(self, name):
        return f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{name}/1"

    def update(self, query):
        stack, given = self.stack(query["StackName"]), self.given(query)
        if given.items() <= stack.items():
            raise Refused("No updates are to be performed.")
        stack.update(given, status="UPDATE_COMPLETE")
        return {"StackId": self.identity(stack["name"])}

    def delete(self, query):
        with contextlib.suppress(Refused):
            del self.stacks[self.stack(query["StackName"])["name"]]
        return {}

    def describe(self, query):
        stacks = [self.stack(query["StackName"])] if "StackName" in query else list(self.stacks.values())
        return {"Stacks": [{
            "StackId": self.identity(stack["name"]), "StackName": stack["name"], "CreationTime": TIME, "StackStatus": stack["status"],
            "EnableTerminationProtection": "false",
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in stack["parameters"].items()],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in stack["outputs"].items()],
        } for stack in stacks]}

    def events(self, query):
        stack = self.stack(query["StackName"])
        return {"StackEvents": [{
            "StackId": self.identity(stack["name"]), "EventId": "1", "StackName": stack["name"], "Timestamp": TIME,
            "LogicalResourceId": stack["name"], "ResourceType": "AWS::CloudFormation::Stack", "ResourceStatus": stack["status"],
            "ClientRequestToken": query.get("ClientRequestToken", "")}]}

    def resources(self, query):
        self.stack(query["StackName"])
        return {"StackResourceSummaries": []}

    ACTIONS = {"CreateStack": create, "UpdateStack": update, "DeleteStack": delete, "DescribeStacks": describe,
               "DescribeStackEvents": events, "ListStackResources": resources}

    def cloudformation(self, query):
        """Status and document of an answer."""
        action = query["Action"]
        self.calls.append(action)
        try:
            result = self.ACTIONS[action](self, query)
        except Refused as refused:
            return 400, xml("ErrorResponse", {"Error": {"Type": "Sender", "Code": "ValidationError", "Message": str(refused)},
                                              "RequestId": "1"}, CFN)
        return 200, xml(f"{action}Response", {f"{action}Result": result, "ResponseMetadata": {"RequestId": "1"}}, CFN)

    # --- S3 ---

    def s3(self, method, path, query, headers, body):
        """Status, document and headers of an answer."""
        bucket, _, key = path.lstrip("/").partition("/")
        if not bucket:
            buckets = "".join(f"<Bucket><Name>{name}</Name><CreationDate>{TIME}</CreationDate></Bucket>" for name in self.buckets)
            return 200, f"<ListAllMyBucketsResult {S3}><Buckets>{buckets}</Buckets></ListAllMyBucketsResult>", {}
        if bucket not in self.buckets:
            return 404, f"<Error><Code>NoSuchBucket</Code><Message>{bucket} is none</Message></Error>", {}
        objects = self.buckets[bucket]
        if key and method == "PUT":
            objects[key] = {"type": headers["Content-Type"], "cache": headers["Cache-Control"], "acl": headers["x-amz-acl"]}
            objects[key]["etag"] = headers.get("Content-MD5") or str(len(body))
            return 200, "", {"ETag": '"1"'}
        if key:
            return (200, "", {"ETag": '"1"', "Content-Length": "0"}) if key in objects else (404, "", {})
        if method == "DELETE":
            if objects:
                return 409, "<Error><Code>BucketNotEmpty</Code><Message>it has objects</Message></Error>", {}
            del self.buckets[bucket]
            return 204, "", {}
        if method == "POST" and "delete" in query:
            for name in re.findall("<Key>([^<]*)</Key>", body.decode()):
                objects.pop(name, None)
            return 200, f"<DeleteResult {S3}/>", {}
        if "versions" in query:
            versions = "".join(f"<Version><Key>{name}</Key><VersionId>null</VersionId></Version>" for name in objects)
            return 200, f"<ListVersionsResult {S3}><IsTruncated>false</IsTruncated>{versions}</ListVersionsResult>", {}
        if "list-type" in query:
            contents = "".join(f"<Contents><Key>{name}</Key><Size>1</Size></Contents>" for name in objects)
            return 200, f"<ListBucketResult {S3}><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>", {}
        return 200, "", {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urllib.parse.urlsplit(self.path)
        form = dict(urllib.parse.parse_qsl(body.decode("latin-1"), keep_blank_values=True)) if address.path == "/" else {}
        if "Action" in form:
            status, document = self.server.account.cloudformation(form)
            headers = {}
        else:
            query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
            status, document, headers = self.server.account.s3(self.command, urllib.parse.unquote(address.path), query, self.headers, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(document.encode())))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(document.encode())

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running():
    """An empty account, with the address that it is at as account.url."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.account = Account()
    server.account.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.account
    finally:
        server.shutdown()
        server.server_close()
