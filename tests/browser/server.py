"""A private httpd for the browser's tests: webapp/ as it is shipped, the fixtures, and a collector into a local folder.

Its argument is JSON, all of it optional: more `directives`, in which @ROOT@ is its folder and @PORT@ its port; `files` to be
there, and the `errors` to be expected in its log. Prints its port and folder as one line of JSON, takes `stop` and `start`
on its standard input, and ends with that.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "httpd"))
from server import FILE_STREAM, LIBEXECDIR, TOP, Httpd  # pylint: disable=wrong-import-position

MODULES = "\n".join(f'LoadModule {name}_module "{LIBEXECDIR}/mod_{name}.so"' for name in ("dir", "headers", "mime"))
# Port 1 refuses: what the stream "full" takes stays, until its queue is full.
SITE = f"""{MODULES}
TypesConfig /dev/null
Define TOUCHWOOD "@ROOT@/htdocs"
Include "{TOP}/httpd-conf/webapp.conf"
{FILE_STREAM}
ClickstreamStream full firehose region=us-east-1 endpoint=https://127.0.0.1:1/ queue=1M
ClickstreamDeliverTo clicks
<Location "/collect/">
    SetHandler clickstream
</Location>
<Location "/full/">
    SetHandler clickstream
    ClickstreamDeliverTo full
</Location>
"""
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
PROVOKED = ("stream full: ", "delivery has failed")


def say(what):
    print(json.dumps(what), flush=True)


def main():
    options = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    httpd = Httpd(environment=KEYS)
    httpd.expected_errors += [*PROVOKED, *options.get("errors", [])]
    httpd.configure((SITE + options.get("directives", "")).replace("@PORT@", str(httpd.port)))
    for name, text in options.get("files", {}).items():
        (httpd.root / name).write_text(text)
    # httpd's user may not get into the source tree.
    for folder in (TOP / "webapp", TOP / "tests/browser/fixtures"):
        shutil.copytree(folder, httpd.root / "htdocs", dirs_exist_ok=True)
    with httpd:
        say({"port": httpd.port, "root": str(httpd.root)})
        for line in sys.stdin:
            {"stop": httpd.stop, "start": httpd.start}[line.strip()]()
            say(line.strip())


if __name__ == "__main__":
    main()
