"""What is measured and what stands behind it: httpd without us and with us, under the same settings, and the fake
Firehose of firehose.c."""
# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "httpd"))

from fake_firehose import make_certificates, wait_for  # noqa: E402
from server import BUILD, LIBEXECDIR, Httpd, give_to_user, prepare_child, public_folder  # noqa: E402, F401

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
THREADS = 64
PATIENCE = 120  # seconds until everything must have arrived

# All threads or processes are there from the start and stay, so that none is made or ended while it is measured.
PROCESSES = {
    "event": f"StartServers 2\nServerLimit 2\nThreadsPerChild {THREADS // 2}\nMaxRequestWorkers {THREADS}\n"
             f"MinSpareThreads 1\nMaxSpareThreads {THREADS}\n",
    "prefork": f"StartServers {THREADS}\nServerLimit {THREADS}\nMaxRequestWorkers {THREADS}\n"
               f"MinSpareServers 1\nMaxSpareServers {THREADS}\n",
}
# The same modules but ours in both.
# What every distribution ships for the root: no .htaccess, symbolic links followed.
REWRITE = ('LoadModule rewrite_module "{libexec}/mod_rewrite.so"\n'
           '<Directory "/">\nAllowOverride None\nOptions FollowSymLinks\n</Directory>\n')
BARE = REWRITE + "RewriteEngine On\nRewriteRule ^ - [R=204]\n"
PROGRAMS = REWRITE + """\
LoadModule alias_module "{libexec}/mod_alias.so"
LoadModule env_module "{libexec}/mod_env.so"
LoadModule setenvif_module "{libexec}/mod_setenvif.so"
LoadModule cgid_module "{libexec}/mod_cgid.so"
ScriptSock "{root}/cgid.sock"
ScriptAlias "/poc-kstream/" "{root}/clickstream.cgi/"
ScriptAlias "/empty/" "{root}/empty.cgi/"
<Location "/">
    CGIPassAuth On
    SetEnv CLICKSTREAM_CONFIG "{root}/clickstream.conf"
    SetEnvIfNoCase ^client_id$ "(.+)" CLICKSTREAM_CLIENT_ID=$1
</Location>
"""
COLLECT = "ClickstreamClient touchwood-app\nClickstreamAllowOrigin https://app.example.com\n"


# What httpd says where it, or a child of it, has as many connections as threads; bare and ours alike.
BUSY = "server reached MaxRequestWorkers"


class Firehose:
    """firehose.c as a process, which ends with this one."""

    def __init__(self):
        self.folder = public_folder()
        make_certificates(self.folder)
        (self.folder / "ca.pem").chmod(0o644)
        self.process = None

    def __enter__(self):
        command = [BUILD / "tests/bench/firehose", self.folder / "server.pem", self.folder / "server.key"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)  # Ctrl-C is for us, who still ask it
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, command):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def tell(self, command):
        answer = self.ask(command)
        assert answer == "ok", f"firehose.c does not know {command!r}"

    def counts(self):
        return json.loads(self.ask("counts"))

    def bodies(self):
        return json.loads(self.ask("bodies"))

    def stream(self, options=""):
        return (f"ClickstreamStream clicks firehose region=us-east-1 endpoint=https://localhost:{self.port}/ "
                f"ca={self.folder}/ca.pem {options}")


class Bare(Httpd):
    """httpd that answers everything with 204 by itself: no module can be cheaper."""

    def __init__(self, mpm="event"):
        super().__init__(mpm=mpm)
        self.expected_errors.append(BUSY)

    def configure(self, directives="", location=""):
        self.parts["processes"] = PROCESSES[self.mpm]
        self.write_configuration(BARE)


class Collector(Httpd):
    """What the servers that collect have in common: whoever asks their queue."""

    def waiting(self):
        """How many events wait, as clickstreamctl sees it, which is no part of the server."""
        done = subprocess.run([BUILD / "cgi/clickstreamctl", "-f", self.ctl_configuration, "status", "--json"],
                              capture_output=True, text=True, timeout=30, check=True)
        return json.loads(done.stdout)["streams"][0]["waiting"]

    def __enter__(self):
        """Once there is a queue: a large one is written for a while, in which nothing is answered."""
        super().__enter__()
        self.post({"token": "t", "timestamp": "2022-02-22T18:37:28.205Z", "tag": "START"})
        self.settle()
        return self

    def settle(self):
        wait_for(lambda: self.waiting() == 0, PATIENCE, "the delivery of all that waits")


class Ours(Collector):
    """httpd with the module, which delivers to a Firehose."""

    def __init__(self, firehose, options="", mpm="event"):
        super().__init__(REWRITE.format(libexec=LIBEXECDIR) + firehose.stream(options), COLLECT, mpm=mpm,
                         environment=KEYS, loglevel="warn")
        self.expected_errors.append(BUSY)
        self.ctl_configuration = self.root / "httpd.conf"

    def configure(self, directives="", location=""):
        self.parts["processes"] = PROCESSES[self.mpm]
        super().configure(directives, location)


class Programs(Collector):
    """httpd that runs a CGI program for each request: ours at /poc-kstream/, one that does nothing at /empty/."""

    def __init__(self, firehose):
        self.firehose = firehose
        super().__init__(environment={"LD_PRELOAD": str(BUILD / "tests/bench/.libs/reap.so")})

    def configure(self, directives="", location=""):
        self.parts["processes"] = PROCESSES[self.mpm]
        folder = self.root / "clickstream"
        folder.mkdir()
        give_to_user(folder)
        for program in ("cgi/clickstream.cgi", "cgi/clickstreamctl", "tests/bench/empty.cgi"):
            shutil.copy(BUILD / program, self.root)
        credentials = self.root / "credentials"
        credentials.write_text("[default]\n" + "".join(f"{name.lower()} = {value}\n" for name, value in KEYS.items()))
        credentials.chmod(0o600)
        give_to_user(credentials)
        self.ctl_configuration = self.root / "clickstream.conf"
        self.ctl_configuration.write_text(f'ClickstreamQueueDir "{folder}/queue"\n'
                                          f"{self.firehose.stream(f'credentials={credentials}')}\n{COLLECT}")
        self.write_configuration(PROGRAMS)
