"""chmod(2), fchmod(2)"""
import errno
import os

import pytest

from calls import refused
from files import KINDS, make, marking, mode
from people import User, alice, bob, carol

pytestmark = pytest.mark.root
CHANGEABLE = [kind for kind in KINDS if kind != "symlink"]
kinds = pytest.mark.parametrize("kind", CHANGEABLE)


@kinds
def test_modes(directory, kind):
    make(kind, "a")
    for value in (0o111, 0o755, 0o000, 0o7777, 0o4751, 0o2644, 0o1222):
        with marking(("a", "c"), (directory, "")):
            os.chmod("a", value)
        assert mode("a") == value


@kinds
def test_through_a_link(directory, kind):
    make(kind, "a")
    os.symlink("a", "b")
    link = os.lstat("b")
    os.chmod("b", 0o321)
    assert mode("a") == 0o321
    assert (os.lstat("b").st_mode, os.lstat("b").st_ctime_ns) == (link.st_mode, link.st_ctime_ns)


def test_of_a_descriptor(directory):
    make("regular", "a")
    with open("a") as file:
        with marking((file.fileno(), "c")):
            os.fchmod(file.fileno(), 0o600)
        os.unlink("a")
        os.fchmod(file.fileno(), 0o640)
        assert os.fstat(file.fileno()).st_mode & 0o7777 == 0o640


@kinds
def test_who_may(directory, kind):
    make(kind, "a", owner=alice)
    with marking(("a", "")):
        for other in (bob, carol):
            with refused(errno.EPERM):
                other(os.chmod, "a", 0o777)
    with marking(("a", "c")):
        alice(os.chmod, "a", 0o700)
    assert mode("a") == 0o700


@kinds
def test_setting_the_group_id_bit(directory, kind):
    """Only members of the file's group keep it."""
    make(kind, "a", owner=User(alice.uid, bob.gid))
    alice(os.chmod, "a", 0o2755)
    assert mode("a") == 0o755
    User(alice.uid, alice.gid, bob.gid)(os.chmod, "a", 0o2755)
    assert mode("a") == 0o2755
    os.chmod("a", 0o6755)
    assert mode("a") == 0o6755


def test_permissions_count_at_once(directory):
    make("regular", "a", 0o600, owner=alice)
    for _ in range(3):
        os.chmod("a", 0o604)
        bob(lambda: os.close(os.open("a", os.O_RDONLY)))
        os.chmod("a", 0o600)
        with refused(errno.EACCES):
            bob(lambda: os.close(os.open("a", os.O_RDONLY)))
