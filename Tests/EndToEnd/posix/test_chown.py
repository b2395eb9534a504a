"""chown(2), lchown(2), fchown(2)"""
import errno
import os

import pytest

from calls import refused
from files import KINDS, make, marking, mode, owner
from people import User, alice, bob, carol

pytestmark = pytest.mark.root
kinds = pytest.mark.parametrize("kind", KINDS)
FILES = [kind for kind in KINDS if kind not in ("directory", "symlink")]


@kinds
def test_by_root(directory, kind):
    make(kind, "a")
    with marking(("a", "c"), (directory, "")):
        os.lchown("a", 123, 456)
    assert owner("a") == (123, 456)
    with marking(("a", "c")):
        os.lchown("a", -1, 457)
    with marking(("a", "c")):
        os.lchown("a", 124, -1)
    assert owner("a") == (124, 457)
    # The largest that is no "leave it".
    os.lchown("a", 0xFFFFFFFE, 0xFFFFFFFE)
    assert owner("a") == (0xFFFFFFFE, 0xFFFFFFFE)


def test_through_a_link(directory):
    make("regular", "a")
    os.symlink("a", "b")
    os.chown("b", 10, 20)
    assert owner("a") == (10, 20) and owner("b") == (0, 0)
    os.lchown("b", 11, 21)
    assert owner("a") == (10, 20) and owner("b") == (11, 21)


@kinds
def test_group_by_the_owner(directory, kind):
    member = User(alice.uid, alice.gid, bob.gid)
    make(kind, "a", owner=alice)
    with marking(("a", "c")):
        member(os.lchown, "a", -1, bob.gid)
    assert owner("a") == (alice.uid, bob.gid)
    member(os.lchown, "a", alice.uid, alice.gid)
    assert owner("a") == (alice.uid, alice.gid)
    with marking(("a", "")):
        with refused(errno.EPERM):
            member(os.lchown, "a", -1, carol.gid)
        with refused(errno.EPERM):
            member(os.lchown, "a", bob.uid, bob.gid)


@kinds
def test_by_others(directory, kind):
    make(kind, "a", owner=alice)
    with marking(("a", "")):
        for change in ((bob.uid, -1), (-1, bob.gid), (alice.uid, alice.gid), (bob.uid, bob.gid)):
            with refused(errno.EPERM):
                bob(os.lchown, "a", *change)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("change", [(500, 600), (500, -1), (-1, 600)])
def test_by_root_takes_set_id_bits(directory, kind, change):
    make(kind, "a", 0o6555)
    os.chown("a", *change)
    assert mode("a") == 0o555


@pytest.mark.parametrize("kind", FILES)
def test_by_the_owner_takes_set_id_bits(directory, kind):
    member = User(alice.uid, alice.gid, bob.gid)
    make(kind, "a", owner=alice)
    for change in ((alice.uid, bob.gid), (-1, alice.gid), (alice.uid, -1)):
        os.chmod("a", 0o6555)
        member(os.chown, "a", *change)
        assert mode("a") == 0o555, change


@pytest.mark.parametrize("kind", FILES)
def test_of_nothing_takes_set_id_bits(directory, kind):
    make(kind, "a", 0o6555, owner=alice)
    alice(os.chown, "a", -1, -1)
    assert mode("a") == 0o555 and owner("a") == (alice.uid, alice.gid)


def test_of_nothing_by_others(directory):
    make("regular", "a", 0o6555, owner=alice)
    try:
        bob(os.chown, "a", -1, -1)
    except PermissionError:
        pass
    assert mode("a") == 0o6555


def test_directories_keep_set_id_bits(directory):
    make("directory", "a", 0o6755, owner=alice)
    os.chown("a", 500, 600)
    assert mode("a") == 0o6755


def test_set_group_id_without_execution(directory):
    """That means mandatory locking, no privilege."""
    make("regular", "a", 0o6744)
    os.chown("a", 500, 600)
    assert mode("a") == 0o2744


def test_of_a_descriptor(directory):
    make("regular", "a")
    with open("a") as file:
        os.unlink("a")
        with marking((file.fileno(), "c")):
            os.fchown(file.fileno(), 70, 80)
        status = os.fstat(file.fileno())
        assert (status.st_uid, status.st_gid) == (70, 80)
