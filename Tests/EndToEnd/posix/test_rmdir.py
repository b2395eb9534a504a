"""rmdir(2)"""
import errno
import os

import pytest

from calls import refused
from files import KINDS, links, make, marking
from people import alice, bob, carol

pytestmark = pytest.mark.root


def test_empty(directory):
    os.mkdir("d")
    with marking((directory, "mc")):
        os.rmdir("d")
    with refused(errno.ENOENT):
        os.stat("d")
    assert links(directory) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_not_empty(directory, kind):
    os.mkdir("d")
    make(kind, "d/a")
    with marking((directory, ""), ("d", "")):
        with refused(errno.ENOTEMPTY, errno.EEXIST):
            os.rmdir("d")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "directory"])
def test_no_directory(directory, kind):
    make(kind, "a")
    with marking((directory, ""), ("a", "")):
        with refused(errno.ENOTDIR):
            os.rmdir("a")


def test_link_to_a_directory(directory):
    os.mkdir("d")
    os.symlink("d", "l")
    with refused(errno.ENOTDIR):
        os.rmdir("l")


def test_dots(directory):
    os.makedirs("d/e")
    with refused(errno.EINVAL):
        os.rmdir("d/e/.")
    with refused(errno.ENOTEMPTY, errno.EEXIST):
        os.rmdir("d/e/..")


def test_no_permission(directory):
    make("directory", "d", 0o755, owner=alice)
    make("directory", "d/e", 0o777, owner=bob)
    with refused(errno.EACCES):
        bob(os.rmdir, "d/e")
    alice(os.rmdir, "d/e")


def test_sticky_directory(directory):
    make("directory", "d", 0o1777, owner=alice)
    for owner, user, may in [(alice, bob, False), (bob, bob, True), (bob, alice, True), (carol, bob, False)]:
        make("directory", "d/e", 0o777, owner=owner)
        if may:
            user(os.rmdir, "d/e")
        else:
            with refused(errno.EPERM):
                user(os.rmdir, "d/e")
            os.rmdir("d/e")


def test_open_directory(directory):
    os.mkdir("d")
    place = os.open("d", os.O_RDONLY)
    os.rmdir("d")
    assert os.fstat(place).st_nlink == 0
    with refused(errno.ENOENT):
        os.open("a", os.O_CREAT | os.O_WRONLY, dir_fd=place)
    with refused(errno.ENOENT):
        os.mkdir("a", dir_fd=place)
    try:
        assert os.listdir(place) == []
    except FileNotFoundError:
        pass
    os.fchmod(place, 0o700)
    os.close(place)


def test_mount_point(ground):
    if not os.path.ismount(ground):
        pytest.skip("no mount point")
    with refused(errno.EBUSY, errno.ENOTEMPTY, errno.EEXIST):
        os.rmdir(ground)
