"""A slow network between two network namespaces, for kernels without netem. Needs root and /dev/net/tun.

    wan.py [--loss PERCENT] [--rate MBIT] ROUND_TRIP_MS -- COMMAND...

runs COMMAND in the server's namespace, with PAIL_TEST_ADDRESS, where servers have to listen, in its environment, and
PAIL_WAN_CLIENT, a path for `nsenter --net=` that leads into the client's namespace. As a context manager for tests:
`with Network(20) as network: subprocess.Popen(network.at_client("curl", ...), pass_fds=network.namespaces)`.
"""
import argparse
import ctypes
import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path

SERVER, CLIENT = "10.99.0.2", "10.99.0.1"
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), "network namespaces: " + os.strerror(ctypes.get_errno()))


class Network:
    """Packets take half of `round_trip_ms` each way; `loss_percent` of them are lost; `mbit` a second each way."""

    def __init__(self, round_trip_ms, loss_percent=0.1, mbit=1000):
        self.settings = [round_trip_ms * 500, loss_percent * 10_000, mbit * 125_000]
        self.namespaces = ()
        self.pump = None

    def __enter__(self):
        if os.geteuid() != 0:
            raise PermissionError("a slow network takes network namespaces and TUN devices: run this as root")
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        ends = []
        try:
            for address in (CLIENT, SERVER):
                ends.append(self.end(address))
                checked(libc.setns(home, CLONE_NEWNET))
        finally:
            checked(libc.setns(home, CLONE_NEWNET))
            os.close(home)
        self.namespaces = tuple(namespace for namespace, _ in ends)
        tuns = [tun for _, tun in ends]
        self.pump = subprocess.Popen([built_pump(), *map(str, tuns), *(str(int(value)) for value in self.settings)],
                                     pass_fds=tuns, stdin=subprocess.DEVNULL)
        for tun in tuns:
            os.close(tun)
        return self

    def end(self, address):
        """A new namespace, in which this thread is then, with a device of this address: descriptors of both."""
        checked(libc.unshare(CLONE_NEWNET))
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wan", IFF_TUN_NO_PI))
        for command in (f"addr add {address}/24 dev wan", "link set wan mtu 1500 up", "link set lo up"):
            subprocess.run(["ip", *command.split()], check=True, timeout=20)
        return namespace, tun

    def at_client(self, *command):
        return ["nsenter", f"--net={self.path(0)}", *command]

    def at_server(self, *command):
        return ["nsenter", f"--net={self.path(1)}", *command]

    def path(self, number):
        return f"/proc/self/fd/{self.namespaces[number]}"

    def __exit__(self, *_):
        self.pump.kill()
        self.pump.wait()
        for namespace in self.namespaces:
            os.close(namespace)


def built_pump():
    source = Path(__file__).with_name("pump.c")
    program = source.resolve().parents[2] / ".build/bench-pump"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-pthread", "-o", program, source], check=True, timeout=60)
    return program


def main():
    parser = argparse.ArgumentParser(prog="wan.py")
    parser.add_argument("round_trip", type=float)
    parser.add_argument("--loss", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=1000)
    here = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options, command = parser.parse_args(sys.argv[1:here]), sys.argv[here + 1:]
    if not command:
        parser.error("-- and a command are missing")
    with Network(options.round_trip, options.loss, options.rate) as network:
        environment = os.environ | {"PAIL_TEST_ADDRESS": SERVER, "PAIL_WAN_CLIENT": network.path(0)}
        return subprocess.run(network.at_server(*command), env=environment, pass_fds=network.namespaces).returncode


if __name__ == "__main__":
    sys.exit(main())
