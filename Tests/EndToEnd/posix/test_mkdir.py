"""mkdir(2)"""
import errno
import os

import pytest

from calls import refused
from files import KINDS, links, make, marking, mode, owner
from people import User, alice, bob

pytestmark = pytest.mark.root


def test_mode_owner_and_times(directory):
    os.chmod(directory, 0o777)
    with marking((directory, "mc")):
        alice(os.mkdir, "a", 0o777)
    assert mode("a") == 0o755 and owner("a") == (alice.uid, alice.gid)
    status = os.stat("a")
    assert status.st_atime_ns == status.st_mtime_ns == status.st_ctime_ns == os.stat(directory).st_mtime_ns
    alice(os.mkdir, "b", 0o151, umask=0o077)
    assert mode("b") == 0o100
    alice(os.mkdir, "c", 0o1777, umask=0)
    assert mode("c") == 0o1777
    # Neither of the set-id bits can be asked for.
    alice(os.mkdir, "d", 0o6755, umask=0)
    assert mode("d") == 0o755


def test_links_of_the_parent(directory):
    assert links(directory) == 2
    for number in range(3):
        os.mkdir(f"d{number}")
        assert links(directory) == 3 + number and links(f"d{number}") == 2
    os.mkdir("d0/e")
    make("regular", "f")
    assert links("d0") == 3 and links(directory) == 5
    os.rmdir("d1")
    assert links(directory) == 4
    os.rmdir("d0/e")
    assert links("d0") == 2


def test_group_of_the_directory(directory):
    os.chown(directory, alice.uid, bob.gid)
    os.chmod(directory, 0o2775)
    alice(os.mkdir, "a", 0o755)
    assert owner("a") == (alice.uid, bob.gid) and mode("a") == 0o2755
    alice(os.mkdir, "a/b", 0o700)
    assert owner("a/b") == (alice.uid, bob.gid) and mode("a/b") == 0o2700


@pytest.mark.parametrize("kind", KINDS)
def test_existing(directory, kind):
    make(kind, "a")
    with marking(("a", ""), (directory, "")):
        with refused(errno.EEXIST):
            os.mkdir("a")


def test_dots(directory):
    for name in (".", "..", "./."):
        with refused(errno.EEXIST):
            os.mkdir(name)
    os.mkdir("a/")
    assert os.listdir(".") == ["a"]


def test_no_permission(directory):
    make("directory", "d", 0o755, owner=alice)
    with marking(("d", "")):
        with refused(errno.EACCES):
            bob(os.mkdir, "d/e")
    os.chmod("d", 0o555)
    with refused(errno.EACCES):
        alice(os.mkdir, "d/e")
    os.chmod("d", 0o444)
    with refused(errno.EACCES):
        alice(os.mkdir, "d/e")


def test_in_a_removed_directory(directory):
    os.mkdir("d")
    os.chdir("d")
    os.rmdir("../d")
    with refused(errno.ENOENT):
        os.mkdir("e")
    os.chdir(directory)


def test_set_group_id_of_one_who_is_no_member(directory):
    os.chown(directory, 0, bob.gid)
    os.chmod(directory, 0o2777)
    User(alice.uid, alice.gid)(os.mkdir, "a", 0o777)
    assert owner("a") == (alice.uid, bob.gid) and mode("a") == 0o2755
