"""An httpd among AWS's fakes: keys, profiles and token files for it, and a hunt for secrets that got out.

Long-term keys and files are made by the Site; what the fakes hand out is known to the fake Firehose. At the end of
each server all that a user, a log collector or a core's reader may see is searched for each secret and token: the
status in each form, clickstreamctl's output, the processes' command lines, logs, the queue's folder, cores.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import pathlib
import secrets
import shutil
import subprocess
import urllib.parse

from fake_aws import FakeAws
from load import event, lines_of, record
from server import BUILD, LIBEXECDIR, Httpd, firehose_stream, public_folder, wait_for

# So many characters of a secret are one too many; a longer line of the log is cut.
TELLING = 20
REGION = "us-east-1"
ACCOUNT = "arn:aws:iam::123456789012:role/"
STATUS = ["/clickstream-status", "/clickstream-status?format=json", "/clickstream-status?format=prometheus",
          "/clickstream-status?health", "/server-status", "/server-status?auto"]
SHOWN = f"""
LoadModule status_module "{LIBEXECDIR}/mod_status.so"
ExtendedStatus On
<Location "/server-status">
    SetHandler server-status
</Location>
<Location "/clickstream-status">
    SetHandler clickstream-status
</Location>
"""
SHOWING = [("status",), ("status", "--json"), ("check",), ("peek",)]  # of clickstreamctl


def role_arn(name):
    return ACCOUNT + name


class Site:
    """The fakes as they are at first, and a folder whose files httpd's user can read."""

    def __init__(self, fake, aws):
        self.fake, self.aws = fake, aws
        self.folder = public_folder()
        self.secrets, self.keys = [], {}
        fake.reset()
        fake.set_credentials({})
        fake.set_clock(0)
        fake.set_region(REGION)
        aws.reset()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        assert self.fake.stats()["violations"] == []
        assert self.aws.stats()["violations"] == []

    # --- what is given to httpd ---

    def secret(self, what="secret"):
        """A new one, which must never be seen."""
        self.secrets.append(f"{what}/{secrets.token_hex(12)}+==")
        return self.secrets[-1]

    def key(self, name, delivers=True):
        """A long-term access key: STS knows it, and Firehose if it is to deliver with it."""
        made = f"AKID{name}", self.secret()
        self.keys[made[0]] = made[1]
        self.aws.settings(keys=self.keys)
        if delivers:
            self.fake.add_credentials({made[0]: {"secret": made[1]}})
        return made

    def environment(self, name, **more):
        key, secret = self.key(name, **more)
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def lines(self, name, **more):
        """A key as it stands in a profile."""
        return "aws_access_key_id = {}\naws_secret_access_key = {}\n".format(*self.key(name, **more))

    def write(self, name, text, mode=0o644, times=None):
        """A file, at once in its place; as old as `times`, another file's."""
        path = self.folder / "aws" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o755)
        new = path.with_name(path.name + ".new")
        new.write_text(text)
        new.chmod(mode)
        if times:
            os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(new, path)
        return str(path)

    def program(self, name, text):
        return self.write(name, "#!/bin/sh\n" + text, 0o755)

    def writable(self, name):
        """An empty file that httpd's user can add to."""
        return pathlib.Path(self.write(name, "", 0o666))

    def instance(self):
        """An environment in which AWS's metadata service is the fake; no proxy may come between."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.aws.metadata_url, "http_proxy": "http://127.0.0.1:1"}

    def container(self, path="/v2/credentials/0", **more):
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.aws.container_url + path,
                "http_proxy": "http://127.0.0.1:1", **more}

    def sts(self, **roles):
        """An environment with the fake as STS, which knows these roles."""
        self.aws.settings(roles={role_arn(name): wanted for name, wanted in roles.items()})
        return {"AWS_ENDPOINT_URL_STS": self.aws.sts_url}

    def web_identity(self, role, token, path="token"):
        return {"AWS_WEB_IDENTITY_TOKEN_FILE": self.write(path, token), "AWS_ROLE_ARN": role_arn(role),
                **self.sts(**{role: {"token": token, "session_name": "mod_clickstream"}})}

    def set_clock(self, seconds):
        """AWS's time is this machine's and so many seconds."""
        self.aws.set_clock(seconds)
        self.fake.set_clock(seconds)

    # --- the server ---

    @contextlib.contextmanager
    def serve(self, environment, options="", region=REGION, expected=(), instance=False, location=""):
        """An httpd at its most talkative. Not to be on an EC2 instance is said, as asking whether it is takes time."""
        disabled = "AWS_EC2_METADATA_SERVICE_ENDPOINT" not in environment and not instance
        environment = ({"AWS_EC2_METADATA_DISABLED": "true"} if disabled else {}) | environment
        stream = firehose_stream(self.fake, f"queue=16M linger=20ms {options}")
        stream = stream.replace(f"region={REGION}", f"region={region}" if region else "")
        root = self.folder / "httpd"
        root.mkdir(exist_ok=True)
        root.chmod(0o755)
        httpd = Httpd(stream + SHOWN, location, environment=environment, folder=root, loglevel="trace8")
        httpd.expected_errors = list(expected)
        try:
            with httpd:
                yield httpd
                if httpd.process.poll() is None:  # where the test has not stopped it
                    self.hunt_in(shown(httpd))
        finally:
            self.hunt(httpd)

    def hunt(self, httpd):
        """Nothing that was secret may have got out."""
        files = [path for folder in (httpd.queues, httpd.root / "cores") if folder.exists() for path in folder.iterdir()]
        self.hunt_in({path.name: path.read_bytes() for path in [httpd.root / "error.log", httpd.root / "console.log", *files]})

    def hunt_in(self, texts):
        for name, data in texts.items():
            found = found_in(data, self.secrets + self.aws.secrets())
            assert not found, f"{name} has {found}"

    def deliver(self, httpd, numbers=range(5), seconds=20):
        self.post(httpd, numbers)
        self.wait_until_there(numbers, seconds)

    @staticmethod
    def post(httpd, numbers=range(5)):
        answer = httpd.post("[" + ",".join(map(event, numbers)) + "]")
        assert answer.status == 200, answer.text

    def wait_until_there(self, numbers=range(5), seconds=20):
        wanted = {record(number) for number in numbers}
        wait_for(lambda: wanted <= set(lines_of(self.fake)), seconds, "the events to be delivered")

    def used(self):
        """The access keys that signed what Firehose could take."""
        return list(self.fake.stats()["by_key"])


def shown(httpd):
    """What a running server lets others see."""
    texts = {path: httpd.request("GET", path, headers={}).text.encode() for path in STATUS}
    assert all(b"clicks" in text for path, text in texts.items() if path != "/clickstream-status?health")
    for words in SHOWING:
        command = [BUILD / "cgi/clickstreamctl", "-f", httpd.root / "httpd.conf", *words]
        done = subprocess.run(command, env=httpd.environment, capture_output=True, timeout=60, check=False)
        texts["clickstreamctl " + " ".join(words)] = done.stdout + done.stderr
    return texts | command_lines()


def command_lines():
    """Of all processes that there are, as `ps` shows them."""
    texts = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            texts[str(path)] = path.read_bytes()
    return texts


def found_in(data, hidden):
    """Which of the secrets are there, be it in part: as they are, or as a form, a URL or JSON may have them."""
    forms = (str, urllib.parse.quote, urllib.parse.quote_plus, lambda text: text.replace("/", "\\/"))
    return [text for text in hidden if any(form(text)[:TELLING].encode() in data for form in forms)]


@contextlib.contextmanager
def running_aws(fake, options=()):
    folder = pathlib.Path(fake.directory, "aws")
    folder.mkdir(exist_ok=True)
    with FakeAws(folder, fake, options) as running:
        yield running
