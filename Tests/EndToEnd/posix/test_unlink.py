"""unlink(2), and files that are open without a name"""
import errno
import os

import pytest

from calls import refused
from files import KINDS, make, marking, write
from people import alice, bob, carol

pytestmark = pytest.mark.root
FILES = [kind for kind in KINDS if kind != "directory"]


@pytest.mark.parametrize("kind", FILES)
def test_last_name(directory, kind):
    make(kind, "a")
    with marking((directory, "mc")):
        os.unlink("a")
    with refused(errno.ENOENT):
        os.lstat("a")
    assert os.listdir(".") == []


def test_directory(directory):
    os.mkdir("d")
    with marking((directory, ""), ("d", "")):
        with refused(errno.EISDIR):
            os.unlink("d")


def test_no_permission(directory):
    make("directory", "d", 0o755, owner=alice)
    make("regular", "d/a", 0o666, owner=bob)
    with marking(("d", ""), ("d/a", "")):
        with refused(errno.EACCES):
            bob(os.unlink, "d/a")
    alice(os.unlink, "d/a")


@pytest.mark.parametrize("kind", FILES)
def test_sticky_directory(directory, kind):
    """Only the owners of the file and of the directory may."""
    make("directory", "d", 0o1777, owner=alice)
    for owner, user, may in [(alice, bob, False), (bob, bob, True), (bob, alice, True), (carol, bob, False),
                             (carol, carol, True)]:
        make(kind, "d/a", 0o666, owner=owner)
        if may:
            user(os.unlink, "d/a")
        else:
            with refused(errno.EPERM):
                user(os.unlink, "d/a")
            os.unlink("d/a")
    os.chmod("d", 0o777)
    make(kind, "d/a", 0o600, owner=carol)
    bob(os.unlink, "d/a")


def test_open_without_a_name(directory):
    write("a", b"0123456789")
    file = os.open("a", os.O_RDWR)
    with marking((file, "c")):
        os.unlink("a")
    assert os.fstat(file).st_nlink == 0 and os.fstat(file).st_size == 10
    assert os.pread(file, 4, 3) == b"3456"
    with marking((file, "mc")):
        os.pwrite(file, b"more", 10)
    assert os.fstat(file).st_size == 14 and os.pread(file, 20, 0) == b"0123456789more"
    os.ftruncate(file, 5)
    assert os.fstat(file).st_size == 5
    os.fchmod(file, 0o400)
    os.fchown(file, 7, 8)
    os.utime(file, ns=(1, 2))
    os.setxattr(file, "user.a", b"b")
    assert os.getxattr(file, "user.a") == b"b"
    os.fsync(file)
    status = os.fstat(file)
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o400, 7, 8)
    assert (status.st_atime_ns, status.st_mtime_ns) == (1, 2)
    again = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
    assert os.read(again, 20) == b"01234"
    os.close(again)
    write("a", b"another")
    assert os.pread(file, 20, 0) == b"01234"
    os.close(file)


def test_one_of_two_names(directory):
    make("regular", "a")
    os.link("a", "b")
    with marking(("b", "c"), (directory, "mc")):
        os.unlink("a")
    file = os.open("b", os.O_RDONLY)
    os.unlink("b")
    assert os.fstat(file).st_nlink == 0
    os.close(file)
