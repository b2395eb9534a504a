"""setxattr(2), getxattr(2), listxattr(2), removexattr(2)"""
import errno
import os

import pytest

from calls import call, refused
from files import SPECIAL, make, marking
from people import alice, bob

pytestmark = pytest.mark.root


@pytest.mark.parametrize("kind", ["regular", "directory"])
def test_values(directory, kind):
    make(kind, "a")
    with marking(("a", "c")):
        os.setxattr("a", "user.one", b"1\0\xff")
    os.setxattr("a", "user.empty", b"")
    assert os.getxattr("a", "user.one") == b"1\0\xff" and os.getxattr("a", "user.empty") == b""
    with marking(("a", "")):
        assert sorted(os.listxattr("a")) == ["user.empty", "user.one"]
    os.setxattr("a", "user.one", b"replaced")
    assert os.getxattr("a", "user.one") == b"replaced"
    with marking(("a", "c")):
        os.removexattr("a", "user.one")
    assert os.listxattr("a") == ["user.empty"]


def test_flags(directory):
    make("regular", "a")
    with refused(errno.ENODATA):
        os.setxattr("a", "user.a", b"x", os.XATTR_REPLACE)
    os.setxattr("a", "user.a", b"x", os.XATTR_CREATE)
    with marking(("a", "")):
        with refused(errno.EEXIST):
            os.setxattr("a", "user.a", b"y", os.XATTR_CREATE)
    os.setxattr("a", "user.a", b"z", os.XATTR_REPLACE)
    assert os.getxattr("a", "user.a") == b"z"
    with refused(errno.EINVAL):
        os.setxattr("a", "user.a", b"x", 1 << 10)


def test_missing(directory):
    make("regular", "a")
    with marking(("a", "")):
        with refused(errno.ENODATA):
            os.getxattr("a", "user.a")
        with refused(errno.ENODATA):
            os.removexattr("a", "user.a")


def test_sizes(directory):
    make("regular", "a")
    os.setxattr("a", "user." + "n" * 250, b"x")
    with refused(errno.ERANGE):
        os.setxattr("a", "user." + "n" * 251, b"x")
    os.setxattr("a", "user.small", b"12345")
    room = bytes(10)
    assert call("getxattr", b"a", b"user.small", None, 0) == 5
    with refused(errno.ERANGE):
        call("getxattr", b"a", b"user.small", room, 4)
    with refused(errno.ERANGE):
        call("listxattr", b"a", room, 5)
    with marking(("a", "")):
        with refused(errno.E2BIG):
            os.setxattr("a", "user.big", bytes(65_537))
        with refused(errno.ENOSPC, errno.E2BIG):
            os.setxattr("a", "user.big", bytes(60_000))
    assert "user.big" not in os.listxattr("a")


def test_names(directory):
    make("regular", "a")
    with refused(errno.EOPNOTSUPP):
        os.setxattr("a", "unknown.a", b"x")
    with refused(errno.EOPNOTSUPP):
        os.setxattr("a", "noprefix", b"x")
    os.chmod("a", 0o666)
    with refused(errno.EPERM):
        alice(os.setxattr, "a", "trusted.a", b"x")
    with refused(errno.ENODATA):
        alice(os.getxattr, "a", "trusted.a")


@pytest.mark.parametrize("kind", SPECIAL + ["symlink"])
def test_only_files_and_directories_have_any(directory, kind):
    make(kind, "a")
    with refused(errno.EPERM):
        os.setxattr("a", "user.a", b"x", follow_symlinks=False)
    with refused(errno.ENODATA, errno.EPERM):
        os.getxattr("a", "user.a", follow_symlinks=False)


def test_permissions(directory):
    make("regular", "a", 0o644, owner=alice)
    alice(os.setxattr, "a", "user.a", b"x")
    assert bob(os.getxattr, "a", "user.a") == b"x"
    with refused(errno.EACCES):
        bob(os.setxattr, "a", "user.a", b"y")
    with refused(errno.EACCES):
        bob(os.removexattr, "a", "user.a")
    os.chmod("a", 0o600)
    with refused(errno.EACCES):
        bob(os.getxattr, "a", "user.a")
    # In sticky directories of others only the owner.
    make("directory", "d", 0o1777, owner=alice)
    with refused(errno.EPERM):
        bob(os.setxattr, "d", "user.a", b"x")
