"""A Debian of its own, in a folder: made by debootstrap from the host's mirror, and kept as a tarball for the next run.

Everything in it runs in namespaces of mounts and processes of its own, whose first process ends when our end of a pipe
closes. So mounts and servers are gone with the test, also when that is killed; the host never sees a mount.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

CACHE = pathlib.Path(os.environ.get("DEB_CACHE") or pathlib.Path(__file__).resolve().parents[2] / ".deb-cache")
DISTRIBUTIONS = ("Debian", "Ubuntu")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("debootstrap", "lintian", "dpkg-deb", "unshare")


def why_not(*tools):
    """What keeps this machine from it, or lacks of the tools, with the way out; or None."""
    if os.geteuid() != 0:
        return "these tests make chroots: run them as root"
    missing = [tool for tool in (*TOOLS, *tools) if not shutil.which(tool)]
    if missing:
        return f"missing: {' '.join(missing)} (tests/debian/install gets them)"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        return "this machine lets root make no namespaces, as in a container without privileges"
    return None if sources() else "apt has no Debian or Ubuntu mirror here"


def needed(*tools):
    """The mark of tests that need one, and these tools: where there can be none they are skipped; with CI=true that is a failure."""
    reason = why_not(*tools)
    assert not reason or os.environ.get("CI") != "true", reason
    return pytest.mark.skipif(reason is not None, reason=reason or "")


def suite():
    values = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return values["VERSION_CODENAME"].strip('"')


def architecture():
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def sources():
    """The host's mirrors of its own distribution: (address, release, component)."""
    said = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
                           "Created-By: Packages"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("|") for line in said.splitlines()]
    return list(dict.fromkeys(tuple(row[1:]) for row in rows if row[0] in DISTRIBUTIONS))


def environment():
    """As little as a maintainer's script may rely on; and the way to the mirror."""
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    return {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **proxies}


def copy_apt_settings(root):
    """How this machine reaches its mirrors."""
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(path, f"{root}{path}")
    for path in [pathlib.Path("/etc/apt/apt.conf"), *pathlib.Path("/etc/apt/apt.conf.d").glob("*")]:
        if path.is_file() and "Acquire::" in path.read_text():
            shutil.copy(path, f"{root}{path}")
    (root / "etc/apt/apt.conf.d/99keep").write_text('APT::Keep-Downloaded-Packages "true";\nDpkg::Use-Pty "0";\n')
    (root / "etc/apt/sources.list").write_text("".join(f"deb {' '.join(source)}\n" for source in sources()))


def make_base(tarball):
    """The smallest system, as a tarball: two minutes, once."""
    mirror = next(source[0] for source in sources() if source[1] == suite())
    work = pathlib.Path(tempfile.mkdtemp(dir=CACHE, prefix="root-"))
    with open(CACHE / "debootstrap.log", "wb") as log:
        subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates", suite(), work, mirror],
                       stdout=log, stderr=subprocess.STDOUT, check=True)
    with Chroot(work) as chroot:
        chroot.run("apt-get", "-q", "update")
    unfinished = tarball.with_suffix(".new")
    subprocess.run(["tar", "--one-file-system", "-C", work, "-cf", unfinished, "."], check=True)
    unfinished.rename(tarball)
    shutil.rmtree(work)


@contextlib.contextmanager
def whole_cache():
    """The cache for ourselves, without what a killed run left there."""
    (CACHE / "archives/partial").mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in CACHE.glob("root-*"):
            shutil.rmtree(left)
        yield


@contextlib.contextmanager
def fresh():
    """A system in which nothing is installed yet."""
    tarball = CACHE / f"{suite()}.tar"
    if not tarball.exists():
        make_base(tarball)
    root = pathlib.Path(tempfile.mkdtemp(dir=CACHE, prefix="root-"))
    try:
        subprocess.run(["tar", "-C", root, "-xf", tarball], check=True)
        root.chmod(0o755)
        with Chroot(root) as chroot:
            chroot.run("apt-get", "-q", "update")
            yield chroot
    finally:
        shutil.rmtree(root)


class Chroot:
    FIRST = """set -e
        mount -t proc proc "$1/proc"
        mount --bind "$2" "$1/var/cache/apt/archives"
        exec "$3" -c "$4\""""
    # SIGCHLD is ignored, so that nobody has to wait for those whose parents have died: they are gone when they end.
    WAIT = "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print('ready', flush=True); sys.stdin.read()"

    def __init__(self, root):
        self.root = root
        self.first = self.pid = None

    def __enter__(self):
        copy_apt_settings(self.root)
        self.first = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", self.FIRST, "sh", self.root,
             CACHE / "archives", sys.executable, self.WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self.first.stdout.readline() == b"ready\n"
        self.pid = pathlib.Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children").read_text().strip()
        return self

    def __exit__(self, *_):
        self.first.stdin.close()
        self.first.wait()

    def try_run(self, *command, **more):
        """The finished process, its output and its errors as one text. httpd kills its process group: it gets one."""
        given = [f"{key}={value}" for key, value in {**environment(), **more}.items()]
        return subprocess.run(["nsenter", "-t", self.pid, "-m", "-p", "chroot", self.root, "env", "-i", *given, *command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              start_new_session=True, timeout=1200, check=False)

    def run(self, *command, **more):
        done = self.try_run(*command, **more)
        assert done.returncode == 0, f"{command}:\n{done.stdout}"
        return done.stdout

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def install(self, *packages):
        """Packages by name, or files of the host."""
        names = []
        for package in packages:
            if isinstance(package, pathlib.Path):
                shutil.copy(package, self.path("/var/tmp"))
                package = f"/var/tmp/{package.name}"
            names.append(package)
        return self.run("apt-get", "-q", "-y", "--no-install-recommends", "install", *names)
