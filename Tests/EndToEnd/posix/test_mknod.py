"""mknod(2), mkfifo(3), bind(2)"""
import errno
import os
import stat

import pytest

from calls import refused
from files import KINDS, make, marking, mode, owner
from people import alice, bob

pytestmark = pytest.mark.root
TYPES = {"fifo": stat.S_IFIFO, "block": stat.S_IFBLK, "char": stat.S_IFCHR, "socket": stat.S_IFSOCK,
         "regular": stat.S_IFREG}


@pytest.mark.parametrize("kind", TYPES)
def test_types(directory, kind):
    device = os.makedev(7, 300) if kind in ("block", "char") else 0
    with marking((directory, "mc")):
        os.mknod("a", 0o666 | TYPES[kind], device)
    status = os.lstat("a")
    assert stat.S_IFMT(status.st_mode) == TYPES[kind] and mode("a") == 0o644 and status.st_nlink == 1
    assert status.st_rdev == device and status.st_size == 0
    assert status.st_mtime_ns == status.st_ctime_ns == status.st_atime_ns


@pytest.mark.parametrize("kind", ["fifo", "socket", "regular"])
def test_by_a_user(directory, kind):
    os.chmod(directory, 0o777)
    alice(os.mknod, "a", 0o666 | TYPES[kind], umask=0o027)
    assert owner("a") == (alice.uid, alice.gid) and mode("a") == 0o640


@pytest.mark.parametrize("kind", ["block", "char"])
def test_devices_are_for_root(directory, kind):
    os.chmod(directory, 0o777)
    with marking((directory, "")):
        with refused(errno.EPERM):
            alice(os.mknod, "a", 0o666 | TYPES[kind], os.makedev(1, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_existing(directory, kind):
    make(kind, "a")
    for type in TYPES.values():
        with marking((directory, ""), ("a", "")):
            with refused(errno.EEXIST):
                os.mknod("a", 0o600 | type, os.makedev(1, 3))


def test_no_permission(directory):
    make("directory", "d", 0o755, owner=alice)
    for type in (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFREG):
        with refused(errno.EACCES):
            bob(os.mknod, "d/a", 0o600 | type)


def test_directory_is_no_node(directory):
    with refused(errno.EPERM):
        os.mknod("a", 0o700 | stat.S_IFDIR)


def test_fifo_carries_data(directory):
    os.mkfifo("a")
    reader = os.open("a", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open("a", os.O_WRONLY)
    os.write(writer, b"through")
    assert os.read(reader, 20) == b"through"
    os.close(writer)
    os.close(reader)
    assert os.lstat("a").st_size == 0


def test_device_works(directory):
    os.mknod("null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    try:
        with open("null", "rb") as null:
            assert null.read() == b""
    except PermissionError:
        # A mount by an ordinary user's means has `nodev`.
        assert os.statvfs(".").f_flag & os.ST_NODEV


def test_socket_connects(directory):
    import socket
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        client.connect("s")
        client.sendall(b"hi")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(5) == b"hi"
        with socket.socket(socket.AF_UNIX) as second, refused(errno.EADDRINUSE):
            second.bind("s")
