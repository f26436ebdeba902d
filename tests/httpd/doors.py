"""The front doors that run the contract's cases: the module under two MPMs, and the CGI under mod_cgid.

After each case a marker is sent: as a queue keeps its order, what is delivered before the marker is the case's, and what
was refused is seen to have left nothing there. The markers of many cases are waited for at once.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import itertools
import shutil
import socket
from typing import NamedTuple

from cases import REJECT_TO, blanked, event
from server import BUILD, LIBEXECDIR, Httpd, give_to_user, wait_for
from tokens import keys

PATH = "/poc-kstream/"
# As quick as a stream can be: tests wait for its markers.
QUICK = 'ClickstreamStream {name} file "path=@ROOT@/{name}" queue=4M linger=1ms interval=10ms\n'
STREAMS = ("clicks", "refused")
FIELDS = {"clicks": "records", "refused": "rejects"}  # of an Outcome

# What cases need of httpd. The second virtual host is as it is behind a proxy that has TLS.
COMMON = """
LoadModule setenvif_module "{libexec}/mod_setenvif.so"
LoadModule remoteip_module "{libexec}/mod_remoteip.so"
LoadModule deflate_module "{libexec}/mod_deflate.so"
RemoteIPHeader X-Real-IP
RemoteIPInternalProxy 127.0.0.1
<VirtualHost *:*>
    ServerName localhost
</VirtualHost>
<VirtualHost *:*>
    ServerName https://secure.example
</VirtualHost>
"""
# What httpd logs as an error: a gzip body that ends too early.
CLIENTS_FAULTS = ["AH02481"]
CGI_CONFIGURATION = """
LoadModule alias_module "{libexec}/mod_alias.so"
LoadModule env_module "{libexec}/mod_env.so"
LoadModule cgid_module "{libexec}/mod_cgid.so"
ScriptSock "{root}/cgid.sock"
ScriptAliasMatch "^/" "{root}/cgi/clickstream.cgi"
{directives}
"""
CGI_PLACE = """
<Location "{path}">
    CGIPassAuth On
    SetEnv CLICKSTREAM_CONFIG "{conf}"
    SetEnvIfNoCase ^client_id$ "(.+)" CLICKSTREAM_CLIENT_ID=$1
    {directives}
</Location>
"""


def location(path, directives):
    return f'<Location "{path}">\nSetHandler clickstream\n{directives}\n</Location>\n'


class Outcome(NamedTuple):
    """What came of a case."""
    status: int = 0
    body: bytes = b""
    headers: object = None
    records: tuple = ()
    rejects: tuple = ()
    error: object = None  # what kept it from an answer


class Collector(Httpd):
    """A server that delivers to folders, and hands out each delivered line once."""

    def __init__(self, directives="", location="", streams=("clicks",), **more):
        declared = "".join(QUICK.format(name=name) for name in streams)
        super().__init__(declared + directives, location, **more)
        self.numbers = itertools.count()

    # --- markers ---

    def _take(self, stream):
        """The objects that are new, each with the time of its last write."""
        found = []
        for path in self.objects(stream):
            found.append((path.stat().st_mtime_ns, path.read_bytes()))
            path.unlink()
        return found

    def _lines_until(self, stream, marker):
        """All lines in their order, and whether that is certain: two objects may have been written at once."""
        taken = []

        def marked():
            taken.extend(self._take(stream))
            return any(marker.encode() in data for _, data in taken)

        wait_for(marked, what=f"the marker in {stream}")
        taken.extend(self._take(stream))  # a listing of folders may show a later object and not yet an earlier one
        taken.sort()
        lines = [line for _, data in taken for line in data.decode().split("\n")[:-1]]
        return lines, len({time for time, _ in taken}) == len(taken)

    def _mark(self, stream="clicks", path=PATH):
        marker = f"marker-{next(self.numbers)};"
        text = event(f'"marker":"{marker}"')
        if stream == "refused":  # as much as it takes to be there
            text = text.replace("token", "tokens", 1)
        status = self.post(text, path=path).status
        assert status == (400 if stream == "refused" else 200)
        return marker

    def lines_until_marker(self, stream="clicks", path=PATH):
        """What was delivered since the last marker."""
        marker = self._mark(stream, path)
        return [line for line in self._lines_until(stream, marker)[0] if marker not in line]

    # --- requests ---

    def raw(self, text, half_close=False):
        """Sends bytes over a connection of their own; all that comes until the server closes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(text)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    # --- cases ---

    def exchange(self, path, case):
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(case.method, path + case.target, case.payload(), case.request_headers(),
                               encode_chunked=isinstance(case.body, list))
            response = connection.getresponse()
            return Outcome(response.status, response.read(), response.headers)

    def run(self, cases, paths):
        """The outcomes of cases; `paths` tells the path of a case's directives."""
        outcomes, markers = [], {stream: [] for stream in STREAMS}
        for case in cases:
            try:
                outcomes.append(self.exchange(paths[case.directives], case))
            except OSError as error:
                outcomes.append(Outcome(error=error))
            for stream in STREAMS[:1 + (REJECT_TO in case.directives)]:
                markers[stream].append((len(outcomes) - 1, self._mark(stream)))
        delivered = {stream: self._lines_until(stream, marks[-1][1]) for stream, marks in markers.items() if marks}
        if len(cases) > 1 and not all(certain for _, certain in delivered.values()):
            return [self.run([case], paths)[0] for case in cases]
        for stream, (lines, _) in delivered.items():
            for number, marker in markers[stream]:
                end = next(index for index, line in enumerate(lines) if marker in line)
                found = tuple(map(blanked, lines[:end]))
                outcomes[number] = outcomes[number]._replace(**{FIELDS[stream]: found})
                del lines[:end + 1]
        return outcomes


class ModuleDoor(Collector):
    """The module, with a location for each set of directives."""

    def __init__(self, paths, mpm):
        places = "".join(location(path, directives) for directives, path in paths.items())
        super().__init__(COMMON.format(libexec=LIBEXECDIR) + "ClickstreamDeliverTo clicks\n"
                         + places.replace("@KEYS@", str(keys())), REJECT_TO, STREAMS, mpm=mpm)
        self.expected_errors += CLIENTS_FAULTS


class CgiDoor(Collector):
    """The CGI program under mod_cgid, with a location and a configuration file for each set of directives."""

    def __init__(self, paths, more=""):
        self.places = [(REJECT_TO, PATH), *paths.items()]
        self.more = more
        self.programs = None
        super().__init__(streams=STREAMS)
        self.expected_errors += [*CLIENTS_FAULTS, "AH01270: Error reading request entity data"]

    def configure(self, directives="", location=""):
        self.programs = self.root / "cgi"
        for name in ("cgi", "conf", "clickstream"):
            (self.root / name).mkdir()
        give_to_user(self.root / "clickstream")
        for name in ("clickstream.cgi", "clickstreamctl"):
            shutil.copy(BUILD / "cgi" / name, self.programs)
        places = "".join(self._place(directives, path, number)
                         for number, (directives, path) in enumerate(self.places))
        self.write_configuration(CGI_CONFIGURATION, directives=self.more + COMMON.format(libexec=LIBEXECDIR) + places)

    def _place(self, directives, path, number):
        """Our lines go to the CGI's file, the others are httpd's."""
        lines = directives.splitlines()
        ours = [line for line in lines if line.startswith("Clickstream")]
        conf = self.root / f"conf/{number}.conf"
        head = f'ClickstreamQueueDir "{self.root}/clickstream/queues"\n' + "".join(
            QUICK.format(name=name).replace("@ROOT@", f"{self.root}/clickstream") for name in STREAMS)
        conf.write_text("\n".join([head, "ClickstreamDeliverTo clicks", *ours, ""]).replace("@KEYS@", str(keys())))
        others = "\n".join(line for line in lines if line not in ours)
        return CGI_PLACE.format(path=path, conf=conf, directives=others)

    def objects(self, folder="clicks"):
        return super().objects(f"clickstream/{folder}")


DOORS = {
    "module, event": lambda paths: ModuleDoor(paths, "event"),
    "module, prefork": lambda paths: ModuleDoor(paths, "prefork"),
    "CGI, mod_cgid": CgiDoor,
}
CGI = "CGI, mod_cgid"
MANY = 40  # cases whose markers are waited for at once


class Doors:
    """All front doors, each started when it is first asked for; each case is run once through each."""

    def __init__(self, cases):
        self.cases = cases
        self.paths = {directives: f"/set-{number}/"
                      for number, directives in enumerate(sorted({case.directives for case in cases}))}
        self.servers, self.outcomes = {}, {}
        self.stack = contextlib.ExitStack()

    def server(self, door):
        if door not in self.servers:
            self.servers[door] = None  # one that does not start is not tried for each case
            self.servers[door] = self.stack.enter_context(DOORS[door](self.paths))
        assert self.servers[door], f"{door} did not start, as an earlier test says"
        return self.servers[door]

    def outcome(self, door, case):
        if (door, case.name) not in self.outcomes:
            first = self.cases.index(case) // MANY * MANY
            cases = [each for each in self.cases[first:first + MANY] if door != CGI or not each.not_cgi]
            for each, outcome in zip(cases, self.server(door).run(cases, self.paths)):
                self.outcomes[door, each.name] = outcome
        return self.outcomes[door, case.name]
