"""rename(2), renameat2(2)"""
import errno
import os

import pytest

from calls import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, refused, rename2
from files import KINDS, links, make, marking, mode, owner, read, write
from people import User, alice, bob, carol

pytestmark = pytest.mark.root
kinds = pytest.mark.parametrize("kind", KINDS)
FILES = [kind for kind in KINDS if kind != "directory"]


@kinds
def test_what_stays(directory, kind):
    make(kind, "a", 0o640, owner=alice)
    os.mkdir("d")
    before = os.lstat("a")
    with marking((directory, "mc"), ("d", "mc")):
        os.rename("a", "d/b")
    after = os.lstat("d/b")
    for field in ("st_ino", "st_mode", "st_uid", "st_gid", "st_size", "st_rdev", "st_nlink", "st_mtime_ns"):
        assert getattr(before, field) == getattr(after, field), field
    assert after.st_ctime_ns > before.st_ctime_ns
    with refused(errno.ENOENT):
        os.lstat("a")


def test_links_of_parents(directory):
    os.makedirs("a/moved/below")
    os.mkdir("b")
    assert (links("a"), links("b")) == (3, 2)
    os.rename("a/moved", "b/here")
    assert (links("a"), links("b"), links("b/here")) == (2, 3, 3)
    assert os.stat("b/here/..").st_ino == os.stat("b").st_ino
    os.mkdir("a/other")
    os.rename("a/other", "a/same")
    assert links("a") == 3
    # Over an empty directory one is gone.
    os.rename("a/same", "b/here/below")
    assert (links("a"), links("b/here")) == (2, 3)
    rename2("a", "b/here", RENAME_EXCHANGE)
    assert (links("a"), links("b"), links(directory)) == (3, 3, 4)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("other", FILES)
def test_over_a_file(directory, kind, other):
    make(kind, "a")
    make(other, "b")
    os.link("b", "c", follow_symlinks=False)
    moved = os.lstat("a").st_ino
    with marking((directory, "mc"), ("c", "c")):
        os.rename("a", "b")
    assert os.lstat("b").st_ino == moved and links("c") == 1
    assert sorted(os.listdir(".")) == ["b", "c"]


@pytest.mark.parametrize("kind", FILES)
def test_file_and_directory(directory, kind):
    make(kind, "a")
    os.mkdir("d")
    with marking((directory, ""), ("a", ""), ("d", "")):
        with refused(errno.EISDIR):
            os.rename("a", "d")
        with refused(errno.ENOTDIR):
            os.rename("d", "a")


def test_directory_over_directory(directory):
    os.makedirs("a/x")
    os.makedirs("empty")
    os.makedirs("full/y")
    with refused(errno.ENOTEMPTY, errno.EEXIST):
        os.rename("a", "full")
    moved = os.stat("a").st_ino
    os.rename("a", "empty")
    assert os.stat("empty").st_ino == moved and os.listdir("empty") == ["x"]
    place = os.open("full/y", os.O_RDONLY)
    os.rename("empty/x", "full/y")
    assert os.fstat(place).st_nlink == 0
    os.close(place)


def test_into_itself(directory):
    os.makedirs("a/b/c")
    for target in ("a/x", "a/b/c/x", "a/b"):
        with refused(errno.EINVAL):
            os.rename("a", target)
    # An ancestor is not empty.
    with refused(errno.ENOTEMPTY, errno.EEXIST):
        os.rename("a/b/c", "a")
    with refused(errno.EINVAL):
        rename2("a", "a/b/c", RENAME_EXCHANGE)


def test_dots(directory):
    os.makedirs("a/b")
    for name in ("a/.", "a/b/.."):
        with refused(errno.EBUSY, errno.EINVAL):
            os.rename(name, "c")
        with refused(errno.EBUSY, errno.EINVAL, errno.ENOTEMPTY, errno.EEXIST):
            os.rename("a/b", name)


@kinds
def test_to_itself(directory, kind):
    make(kind, "a")
    with marking((directory, ""), ("a", "")):
        os.rename("a", "a")


@pytest.mark.parametrize("kind", FILES)
def test_two_names_of_one_node(directory, kind):
    make(kind, "a")
    os.link("a", "b", follow_symlinks=False)
    with marking((directory, ""), ("a", "")):
        os.rename("a", "b")
    assert sorted(os.listdir(".")) == ["a", "b"] and links("a") == 2


def test_no_permission(directory):
    for name in ("from", "to"):
        make("directory", name, 0o777, owner=alice)
    make("regular", "from/a", owner=bob)
    for closed in ("from", "to"):
        os.chmod(closed, 0o755)
        with marking(("from", ""), ("to", ""), ("from/a", "")):
            with refused(errno.EACCES):
                bob(os.rename, "from/a", "to/a")
        os.chmod(closed, 0o777)
    bob(os.rename, "from/a", "to/a")


def test_directory_needs_its_own_permission(directory):
    """Its `..` changes, so it has to be writable when it changes its parent."""
    for name in ("from", "to"):
        make("directory", name, 0o777, owner=alice)
    make("directory", "from/d", 0o555, owner=bob)
    with refused(errno.EACCES):
        bob(os.rename, "from/d", "to/d")
    bob(os.rename, "from/d", "from/e")
    os.chmod("from/e", 0o755)
    bob(os.rename, "from/e", "to/d")


@kinds
def test_sticky_source(directory, kind):
    make("directory", "s", 0o1777, owner=alice)
    make("directory", "d", 0o777, owner=alice)
    for owner, user, may in [(alice, bob, False), (carol, bob, False), (bob, bob, True), (carol, alice, True)]:
        make(kind, "s/a", 0o777, owner=owner)
        if may:
            if kind == "directory" and user is not owner:
                os.chmod("s/a", 0o777)
            user(os.rename, "s/a", "d/a")
            os.rename("d/a", "s/a")
        else:
            with refused(errno.EPERM):
                user(os.rename, "s/a", "d/a")
        os.rmdir("s/a") if kind == "directory" else os.unlink("s/a")


@kinds
def test_sticky_target(directory, kind):
    make("directory", "s", 0o1777, owner=alice)
    make("directory", "d", 0o777, owner=alice)
    for owner, user, may in [(alice, bob, False), (carol, bob, False), (bob, bob, True), (carol, alice, True)]:
        make(kind, "d/a", 0o777, owner=user)
        make(kind, "s/a", 0o777, owner=owner)
        moved = os.lstat("d/a").st_ino
        if may:
            user(os.rename, "d/a", "s/a")
            assert os.lstat("s/a").st_ino == moved
        else:
            with refused(errno.EPERM):
                user(os.rename, "d/a", "s/a")
            os.rename("d/a", "s/a")
        os.rmdir("s/a") if kind == "directory" else os.unlink("s/a")


def test_over_an_open_file(directory):
    write("a", b"new")
    write("b", b"old")
    file = os.open("b", os.O_RDWR)
    os.rename("a", "b")
    assert os.fstat(file).st_nlink == 0
    os.pwrite(file, b"OLD!", 0)
    assert os.pread(file, 10, 0) == b"OLD!" and read("b") == b"new"
    os.close(file)


def test_of_an_open_file(directory):
    write("a", b"one")
    file = os.open("a", os.O_RDWR | os.O_APPEND)
    os.rename("a", "b")
    os.write(file, b" two")
    os.close(file)
    assert read("b") == b"one two"


def test_change_times_never_go_back(directory):
    """Closing a file that was written before it was moved leaves the move's time."""
    with open("a", "wb", buffering=0) as file:
        file.write(b"x")
        os.rename("a", "b")
        moved = os.stat("b").st_ctime_ns
    assert os.stat("b").st_ctime_ns >= moved


def test_no_replace(directory):
    write("a", b"a")
    write("b", b"b")
    with marking((directory, ""), ("a", ""), ("b", "")):
        with refused(errno.EEXIST):
            rename2("a", "b", RENAME_NOREPLACE)
    rename2("a", "c", RENAME_NOREPLACE)
    assert read("c") == b"a"


@kinds
@pytest.mark.parametrize("other", KINDS)
def test_exchange(directory, kind, other):
    os.mkdir("d")
    make(kind, "a")
    make(other, "d/b")
    nodes = os.lstat("a").st_ino, os.lstat("d/b").st_ino
    with marking((directory, "mc"), ("d", "mc")):
        rename2("a", "d/b", RENAME_EXCHANGE)
    assert nodes == (os.lstat("d/b").st_ino, os.lstat("a").st_ino)
    with refused(errno.ENOENT):
        rename2("a", "missing", RENAME_EXCHANGE)


def test_bad_flags(directory):
    write("a")
    write("b")
    for flags in (RENAME_NOREPLACE | RENAME_EXCHANGE, 1 << 20, RENAME_WHITEOUT | RENAME_EXCHANGE):
        with refused(errno.EINVAL):
            rename2("a", "b", flags)


def test_to_another_file_system(directory, tmp_path_factory):
    write("a")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if os.stat(elsewhere).st_dev == os.stat("a").st_dev:
        pytest.skip("both are on one file system")
    with refused(errno.EXDEV):
        os.rename("a", elsewhere / "a")
    with refused(errno.EXDEV):
        os.link("a", elsewhere / "a")


def test_keeps_mode_and_owner_in_a_group_directory(directory):
    make("directory", "d", 0o2777, owner=User(alice.uid, bob.gid))
    make("regular", "a", 0o600, owner=carol)
    os.rename("a", "d/a")
    assert owner("d/a") == (carol.uid, carol.gid) and mode("d/a") == 0o600
