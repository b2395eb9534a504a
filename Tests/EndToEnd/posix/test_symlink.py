"""symlink(2), readlink(2)"""
import errno
import os
import stat

import pytest

from calls import refused
from files import KINDS, PATH_MAX, make, marking, owner
from people import alice, bob


def test_what_it_is(directory):
    with marking((directory, "mc")):
        os.symlink("target", "a")
    status = os.lstat("a")
    assert stat.S_ISLNK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o777
    assert status.st_size == 6 and status.st_nlink == 1
    assert os.readlink("a") == "target"


@pytest.mark.parametrize("length", [1, 255, 256, 1000, 2049, PATH_MAX - 1])
def test_lengths(directory, length):
    os.symlink("t" * length, "a")
    assert os.readlink("a") == "t" * length and os.lstat("a").st_size == length


def test_too_long(directory):
    with refused(errno.ENAMETOOLONG):
        os.symlink("t" * PATH_MAX, "a")
    with refused(errno.ENOENT):
        os.symlink("", "a")


@pytest.mark.root
@pytest.mark.parametrize("kind", KINDS)
def test_existing(directory, kind):
    make(kind, "a")
    with marking((directory, ""), ("a", "")):
        with refused(errno.EEXIST):
            os.symlink("x", "a")


@pytest.mark.root
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "symlink"])
def test_only_links_are_read(directory, kind):
    make(kind, "a")
    with refused(errno.EINVAL):
        os.readlink("a")


@pytest.mark.root
def test_users(directory):
    make("directory", "d", 0o755, owner=alice)
    alice(os.symlink, "x", "d/a")
    assert owner("d/a") == (alice.uid, alice.gid)
    assert bob(os.readlink, "d/a") == "x"
    with refused(errno.EACCES):
        bob(os.symlink, "x", "d/b")


def test_followed_on_the_way(directory):
    os.makedirs("d/e")
    os.symlink("d", "up")
    os.symlink("../../up/e", "d/e/round")
    make("regular", "d/e/f")
    assert os.stat("up/e/round/f").st_ino == os.stat("d/e/f").st_ino
    os.symlink("f", "d/e/g")
    os.close(os.open("up/e/g", os.O_RDONLY))
    with refused(errno.ELOOP):
        os.open("up/e/g", os.O_RDONLY | os.O_NOFOLLOW)


def test_forty_links(directory):
    make("regular", "l0")
    for number in range(41):
        os.symlink(f"l{number}", f"l{number + 1}")
    os.stat("l40")
    with refused(errno.ELOOP):
        os.stat("l41")
