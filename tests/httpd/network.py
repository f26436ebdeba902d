"""A network of its own for a test that needs addresses which this machine must not have."""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import fcntl
import os
import socket
import struct
import sys
import traceback

import pytest

CLONE_NEWNET = 0x40000000
# linux/sockios.h and linux/if.h
SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP = 1
NOT_ALLOWED = 77


def own_network(test, addresses):
    """Calls test() in a child process whose only interface is a loopback with these addresses besides 127.0.0.1."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os._exit(run(test, addresses))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == NOT_ALLOWED:
        pytest.skip("this user may not make a network namespace (unshare --net)")
    assert code == 0, "failed in a network of its own; see above"


def run(test, addresses):
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return NOT_ALLOWED
    try:
        configure(addresses)
        test()
    except BaseException:  # whatever it was: this is a process's end
        traceback.print_exc()
        return 1
    return 0


def configure(addresses):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
        for number, address in enumerate(addresses):
            name = f"lo:{number}".encode()
            fcntl.ioctl(control, SIOCSIFADDR,
                        struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)))
