"""POSIX access control lists (acl(5)), as Linux takes them: as extended attributes"""
import errno
import os
import struct

import pytest

from calls import refused
from files import make, marking, mode
from people import User, alice, bob, carol

pytestmark = pytest.mark.root
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
TAGS = {"owner": 1, "user": 2, "group": 4, "groups": 8, "mask": 16, "other": 32}


def packed(*entries):
    """Of (tag, permissions) or (tag, id, permissions)."""
    whole = [(entry[0], entry[1] if len(entry) == 3 else 0xFFFFFFFF, entry[-1]) for entry in entries]
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", TAGS[tag], permissions, id) for tag, id, permissions in whole)


def for_bob(permissions, mask=7):
    return packed(("owner", 7), ("user", bob.uid, permissions), ("group", 5), ("mask", mask), ("other", 0))


def reads(user, path):
    try:
        user(lambda: os.close(os.open(path, os.O_RDONLY)))
        return True
    except PermissionError:
        return False


def test_named_users_and_groups(directory):
    make("regular", "a", 0o600, owner=alice)
    assert not reads(bob, "a")
    with marking(("a", "c")):
        alice(os.setxattr, "a", ACCESS, packed(
            ("owner", 6), ("user", bob.uid, 4), ("group", 0), ("groups", 4711, 4), ("mask", 4), ("other", 0)))
    assert mode("a") == 0o640
    assert reads(bob, "a") and not reads(carol, "a") and reads(User(carol.uid, carol.gid, 4711), "a")
    with refused(errno.EACCES):
        bob(lambda: os.close(os.open("a", os.O_WRONLY)))
    assert os.listxattr("a") == [ACCESS]
    with refused(errno.EPERM):
        bob(os.setxattr, "a", ACCESS, for_bob(7))
    alice(os.removexattr, "a", ACCESS)
    assert not reads(bob, "a")


def test_mode_and_list_follow_each_other(directory):
    make("regular", "a", 0o600)
    os.setxattr("a", ACCESS, for_bob(7))
    assert mode("a") == 0o770
    os.chmod("a", 0o640)
    assert os.getxattr("a", ACCESS) == packed(
        ("owner", 6), ("user", bob.uid, 7), ("group", 5), ("mask", 4), ("other", 0))
    # What a mode says as well is no list.
    os.setxattr("a", ACCESS, packed(("owner", 7), ("group", 1), ("other", 4)))
    assert mode("a") == 0o714 and os.listxattr("a") == []
    with refused(errno.ENODATA):
        os.getxattr("a", ACCESS)


def test_inheritance(directory):
    make("directory", "d", 0o755)
    os.setxattr("d", DEFAULT, for_bob(7, mask=5))
    os.umask(0o077)
    make_file = os.open("d/a", os.O_CREAT | os.O_WRONLY, 0o666)
    os.close(make_file)
    os.mkdir("d/e", 0o777)
    os.mkfifo("d/f", 0o660)
    os.umask(0o022)
    # The list is what counts, not the umask.
    assert (mode("d/a"), mode("d/e"), mode("d/f")) == (0o640, 0o750, 0o640)
    assert os.getxattr("d/a", ACCESS) == packed(
        ("owner", 6), ("user", bob.uid, 7), ("group", 5), ("mask", 4), ("other", 0))
    assert os.getxattr("d/e", DEFAULT) == os.getxattr("d", DEFAULT)
    assert os.getxattr("d/e", ACCESS) == for_bob(7, mask=5)
    assert os.listxattr("d/f") == [ACCESS] and reads(bob, "d/a") and not reads(carol, "d/a")
    os.symlink("a", "d/l")
    assert mode("d/l") == 0o777
    os.removexattr("d", DEFAULT)
    make("regular", "d/g")
    assert os.listxattr("d/g") == []


def test_default_without_names(directory):
    make("directory", "d", 0o755)
    os.setxattr("d", DEFAULT, packed(("owner", 7), ("group", 5), ("other", 0)))
    os.close(os.open("d/a", os.O_CREAT | os.O_WRONLY, 0o666))
    assert mode("d/a") == 0o640 and os.listxattr("d/a") == []


def test_bad_lists(directory):
    make("regular", "a")
    with marking(("a", "")):
        with refused(errno.EINVAL):
            os.setxattr("a", ACCESS, packed(("owner", 7), ("user", 5, 7), ("group", 5), ("other", 0)))
        with refused(errno.EINVAL, errno.EOPNOTSUPP):
            os.setxattr("a", ACCESS, b"nonsense")
        with refused(errno.EACCES):
            os.setxattr("a", DEFAULT, for_bob(7))


def test_set_group_id(directory):
    make("regular", "a", 0o2755, owner=User(alice.uid, bob.gid))
    alice(os.setxattr, "a", ACCESS, for_bob(4))
    assert mode("a") == 0o770


def test_listed_users_may_not_own(directory):
    make("directory", "d", 0o700, owner=alice)
    os.setxattr("d", ACCESS, for_bob(7))
    bob(os.mkdir, "d/e")
    with refused(errno.EPERM):
        bob(os.chmod, "d", 0o777)
    with refused(errno.EACCES):
        carol(os.mkdir, "d/f")
