"""A private httpd for tests: from the build tree, on a free loopback port, under any MPM.

HTTPD, HTTPD_LIBEXECDIR and BUILDDIR come from the environment; `make check` sets them.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import subprocess
import tempfile

from fake_firehose import SLOWNESS, free_port, wait_for

HTTPD = os.environ.get("HTTPD", "/usr/sbin/apache2")
LIBEXECDIR = os.environ.get("HTTPD_LIBEXECDIR", "/usr/lib/apache2/modules")
TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILDDIR", TOP))
MODULE = BUILD / "mod_clickstream/.libs/mod_clickstream.so"
PRELOAD = os.environ.get("HTTPD_PRELOAD", "")  # of a build with sanitizers: what must be in httpd before the module
MPMS = ("event", "worker", "prefork")

# What apps of the first implementation send.
HEADERS = {
    "client_id": "touchwood-app",
    "Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    "Content-Type": "application/json",
    "X-Forwarded-For": "90.200.187.19, 165.225.197.24",
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 15_3 like Mac OS X)",
}
ADDED = ('"client_id":"touchwood-app","client_ip":"90.200.187.19, 165.225.197.24",'
         '"user_agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 15_3 like Mac OS X)"')
COLLECTED = '{"response_code":"200","message":"Clickstream collected."}'

# Enough processes and threads to compete, few enough for two cores.
THREADED = ("StartServers 2\nServerLimit 4\nThreadsPerChild 8\nMaxRequestWorkers 32\n"
            "MinSpareThreads 8\nMaxSpareThreads 32\n")
PROCESSES = {
    "event": THREADED,
    "worker": THREADED,
    "prefork": "StartServers 10\nMinSpareServers 10\nMaxSpareServers 20\nMaxRequestWorkers 24\n",
}

CONFIGURATION = """\
ServerRoot "{root}"
ServerName localhost
Listen 127.0.0.1:{port}
PidFile "{root}/httpd.pid"
ErrorLog "{root}/error.log"
LogLevel warn
ErrorLogFormat "[%t] [%-m:%l] [pid %P] %M"
DefaultRuntimeDir "{root}"
CoreDumpDirectory "{root}/cores"
DocumentRoot "{root}/htdocs"
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 10
GracefulShutdownTimeout 10
LoadModule mpm_{mpm}_module "{libexec}/mod_mpm_{mpm}.so"
<IfModule !unixd_module>
LoadModule unixd_module "{libexec}/mod_unixd.so"
</IfModule>
LoadModule authz_core_module "{libexec}/mod_authz_core.so"
{user}
{processes}
"""
# What serves.
MODULE_CONFIGURATION = """\
LoadModule clickstream_module "{module}"
LogLevel clickstream:{loglevel}
{directives}
<Location "/poc-kstream/">
    SetHandler clickstream
{location}
</Location>
"""

# What of our own environment no server may see.
FOREIGN = re.compile("AWS_|HOME$|.*_proxy$", re.IGNORECASE)

# What a good event MPM may log as an error when it is stopped while a client leaves.
HARMLESS = ["AH03092", "AH03093"]
if SLOWNESS > 1:  # by valgrind: 3 s may be too short for a TLS handshake
    HARMLESS += ["delivery has failed: SSL connection timeout", "delivery has failed: Connection timeout"]


def httpd_user():
    """The user that a root httpd becomes; None where we are not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("www-data", "apache", "nobody") if name in names)


def public_folder():
    """A new folder that httpd's user can get into; pytest's own are closed to other users."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="clickstream-test-"))
    folder.chmod(0o755)
    return folder


def run_example(page, port):
    """Runs the `curl` that a page shows, but to a server on this machine; what it answers."""
    command = re.search(r"^ +(curl https?://\S+/poc-kstream/ (?:.*\\\n)*.*)", page.read_text(), re.MULTILINE)[1]
    command = re.sub(r"https?://[\w.:]+/", f"http://127.0.0.1:{port}/", command)
    return subprocess.run(["sh", "-c", command], env={**os.environ, "TOKEN": "x"}, capture_output=True, text=True,
                          timeout=30, check=True).stdout


def give_to_user(path):
    user = httpd_user()
    if user:
        shutil.chown(path, user, pwd.getpwnam(user).pw_gid)


def preloaded(name, **more):
    """An environment with tests/httpd/`name`.c before all libraries, and what else that reads."""
    library = BUILD / f"tests/httpd/.libs/{name}.so"
    assert library.exists(), f"make check makes {library}"
    return {"LD_PRELOAD": f"{PRELOAD} {library}", **more}


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # a dead one that nobody has asked for yet


def prepare_child():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: no server outlives its test


def is_of_event_mpm(backtrace):
    """Whether a child died of what httpd does by itself. 2.4.71's event MPM, without any module of ours, crashes in one
    of a hundred hard stops that meet a worker which is just done with a connection: its main thread closes the sockets
    of all workers (close_worker_sockets), and reads one that is just being freed."""
    main = str(backtrace).rpartition("\nThread 1 ")[2].splitlines()
    return len(main) > 2 and " in apr_os_sock_get ()" in main[1] and "mod_mpm_event.so" in main[2]


def is_of_prefork_mpm(backtrace):
    """The same for prefork, a few of whose children die when they are stopped while they begin: its SIGTERM handler frees
    memory (clean_child_exit), over whatever of the C library's or httpd's own the signal has interrupted in allocating."""
    main = str(backtrace).rpartition("\nThread 1 ")[2]
    handler, interrupted, rest = main.partition("<signal handler called>")
    return bool(interrupted) and "_libc_free" in handler and "mod_mpm_prefork.so" in handler and \
        "_malloc" in rest.partition("\n")[2].partition("\n")[0] and "clickstream" not in main


HTTPDS_OWN = {"event": is_of_event_mpm, "prefork": is_of_prefork_mpm}


class Httpd:
    """One server, with its folder. Use it with `with`; leaving checks the error log."""

    def __init__(self, directives="", location="", mpm="event", loglevel="info", environment=None, folder=None):
        self.root = folder or public_folder()
        self.owned = folder is None
        self.port = free_port()
        self.mpm = mpm
        self.expected_errors = []  # texts of warnings and errors that this test provokes
        self.environment = {key: value for key, value in os.environ.items() if not FOREIGN.match(key)}
        if PRELOAD:
            self.environment["LD_PRELOAD"] = PRELOAD
        self.environment.update(environment or {})
        self.process = None
        self.queues = self.root / "queues"
        (self.root / "htdocs").mkdir(exist_ok=True)
        (self.root / "cores").mkdir(exist_ok=True)
        give_to_user(self.root / "cores")
        user = httpd_user()
        self.parts = {
            "root": self.root, "port": self.port, "mpm": mpm, "libexec": LIBEXECDIR, "module": MODULE,
            "loglevel": loglevel, "user": f"User {user}\nGroup {self._group(user)}" if user else "",
            "processes": PROCESSES[mpm],
        }
        self.configure(directives, location)

    @staticmethod
    def _group(user):
        return f"#{pwd.getpwnam(user).pw_gid}"

    def configure(self, directives="", location=""):
        if "ClickstreamQueueDir" not in directives:
            directives = f'ClickstreamQueueDir "{self.queues}"\n{directives}'
        self.write_configuration(MODULE_CONFIGURATION, directives=directives, location=location)

    def write_configuration(self, front_door, **parts):
        """@ROOT@ in the parts is the server's folder."""
        parts = {name: text.replace("@ROOT@", str(self.root)) for name, text in parts.items()}
        (self.root / "httpd.conf").write_text((CONFIGURATION + front_door).format(**self.parts, **parts))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()
        try:
            if kind is None:
                self.check_log()
        finally:
            if self.owned:
                shutil.rmtree(self.root, ignore_errors=True)

    # --- the process ---

    def command(self, *arguments):
        return [HTTPD, "-d", str(self.root), "-f", str(self.root / "httpd.conf"), *arguments]

    def check(self):
        """`httpd -t`: its exit code and what it said."""
        done = subprocess.run(self.command("-t"), env=self.environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    def launch(self):
        with open(self.root / "console.log", "ab") as console:
            self.process = subprocess.Popen(self.command("-DFOREGROUND"), env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=console, stderr=console, preexec_fn=prepare_child,
                                            start_new_session=True)  # at its end httpd kills its process group

    def start(self):
        """Starts it, and waits until it serves and takes signals: before that a SIGUSR1 would end it."""
        before = self.log().count("resuming normal operations")
        self.launch()
        wait_for(lambda: self._serves(before), what="httpd to serve")

    def _serves(self, before):
        if self.process.poll() is not None:
            raise RuntimeError(f"httpd ended: {self.console()}\n{self.log()}")
        return self.log().count("resuming normal operations") > before

    def stop(self):
        """A hard stop, once no connection is under way: see is_of_event_mpm()."""
        if self.process and self.process.poll() is None:
            with contextlib.suppress(TimeoutError):
                wait_for(lambda: not self._has_connections(), 0.3, "the last connection's end")
            self.process.terminate()
        if self.process:
            self.process.wait(timeout=60)

    def _has_connections(self):
        rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        established_or_half_closed = ("01", "08")
        return any(int(row[1].split(":")[1], 16) == self.port and row[3] in established_or_half_closed for row in rows)

    def graceful(self):
        self.process.send_signal(signal.SIGUSR1)

    def children(self):
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill_all(self):
        """kill -9 of the whole httpd at once, as the kernel's out-of-memory killer might."""
        pids = [self.process.pid, *self.children()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        wait_for(lambda: not any(map(is_running, pids)), what="the children's end")

    # --- what it says ---

    def console(self):
        return (self.root / "console.log").read_text()

    def log(self):
        path = self.root / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def complaints(self):
        """Lines of the error log that no test expected: warnings of ours, errors of anyone's, crashes."""
        suspect = ("[clickstream:warn", "[clickstream:err", ":error]", ":crit]", ":alert]", ":emerg]", "exit signal",
                   "AddressSanitizer", "runtime error")
        expected = HARMLESS + self.expected_errors
        return [line for line in self.log().splitlines()
                if (any(text in line for text in suspect) or line.startswith("clickstream: "))  # of the CGI
                and not any(text in line for text in expected)]

    def backtraces(self):
        """Of what crashed, where there is a gdb to tell: a crash that comes once a day must not go unexplained."""
        cores = list((self.root / "cores").iterdir())
        if not shutil.which("gdb"):
            return cores
        return [subprocess.run(["gdb", "-batch", "-ex", "thread apply all bt", HTTPD, str(core)], capture_output=True,
                               text=True, timeout=60, check=False).stdout for core in cores]

    def check_log(self):
        """No warning of ours, no error, no crash that the test did not expect."""
        complaints = self.complaints()
        crashes = [line for line in complaints if "exit signal" in line]
        backtraces = self.backtraces() if crashes else []
        if self.mpm in HTTPDS_OWN and len(backtraces) == len(crashes) and all(map(HTTPDS_OWN[self.mpm], backtraces)):
            complaints = [line for line in complaints if line not in crashes]
        assert not complaints, "\n".join([*complaints, *map(str, backtraces)])

    # --- requests ---

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def request(self, method="POST", path="/poc-kstream/", body=None, headers=None, connection=None):
        """Returns the response, with its text as `.text`."""
        own = connection or self.connect()
        own.request(method, path, body, {k: v for k, v in (HEADERS if headers is None else headers).items() if v})
        response = own.getresponse()
        response.text = response.read().decode()
        if not connection:
            own.close()
        return response

    def post(self, event, **more):
        return self.request(body=event if isinstance(event, (str, bytes)) else json.dumps(event), **more)

    # --- the file sink ---

    def objects(self, folder="objects"):
        return sorted(path for path in (self.root / folder).rglob("*") if path.is_file() and path.name[0] != ".")

    def delivered_lines(self, folder="objects"):
        return [line for path in self.objects(folder) for line in path.read_text().splitlines()]


FILE_STREAM = 'ClickstreamStream clicks file "path=@ROOT@/objects" queue=4M linger=20ms interval=50ms'


def firehose_stream(fake, options="queue=16M linger=20ms", name="clicks"):
    return (f"ClickstreamStream {name} firehose region=us-east-1 endpoint={fake.url}/ "
            f"ca={fake.directory}/public-ca.pem {options}")
