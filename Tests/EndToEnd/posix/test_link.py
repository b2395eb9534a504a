"""link(2), linkat(2)"""
import errno
import os

import pytest

from calls import refused
from files import KINDS, links, make, marking, read, write
from people import alice, bob

pytestmark = pytest.mark.root
LINKABLE = [kind for kind in KINDS if kind != "directory"]
kinds = pytest.mark.parametrize("kind", LINKABLE)


def link(source, target):
    os.link(source, target, follow_symlinks=False)


@kinds
def test_one_node(directory, kind):
    make(kind, "a")
    os.mkdir("d")
    with marking(("a", "c"), ("d", "mc"), (directory, "")):
        link("a", "d/b")
    assert os.lstat("a") == os.lstat("d/b") and links("a") == 2
    link("d/b", "c")
    assert links("a") == links("d/b") == links("c") == 3
    if kind != "symlink":
        os.chmod("c", 0o600)
        os.chown("d/b", 5, 6)
    assert os.lstat("a") == os.lstat("d/b") == os.lstat("c")
    with marking(("a", "c"), ("d", "mc")):
        os.unlink("d/b")
    assert links("a") == links("c") == 2
    os.unlink("a")
    assert links("c") == 1


def test_content_is_shared(directory):
    write("a", b"one")
    link("a", "b")
    write("b", b"two!")
    assert read("a") == b"two!" and os.stat("a").st_size == 4


@kinds
@pytest.mark.parametrize("other", KINDS)
def test_existing(directory, kind, other):
    make(kind, "a")
    make(other, "b")
    with marking(("a", ""), ("b", ""), (directory, "")):
        with refused(errno.EEXIST):
            link("a", "b")


def test_directories_have_one_name(directory):
    os.mkdir("d")
    with marking(("d", ""), (directory, "")):
        with refused(errno.EPERM):
            link("d", "e")


def test_no_permission(directory):
    make("regular", "a", 0o666)
    make("directory", "d", 0o755, owner=alice)
    make("regular", "d/own", owner=bob)
    with refused(errno.EACCES):
        bob(link, "d/own", "d/b")
    assert links("d/own") == 1


def test_of_an_open_file_without_a_name(directory):
    """Nothing brings the last name back, /proc neither (linkat(2))."""
    write("a", b"kept")
    root = os.open("/", os.O_RDONLY)
    with open("a", "rb") as file:
        os.unlink("a")
        with refused(errno.ENOENT):
            os.link(f"/proc/self/fd/{file.fileno()}", os.path.abspath("b"), src_dir_fd=root)
    os.close(root)
    assert os.listdir(".") == []


def test_of_an_open_file(directory):
    write("a", b"kept")
    root = os.open("/", os.O_RDONLY)
    with open("a", "rb") as file:
        os.link(f"/proc/self/fd/{file.fileno()}", os.path.abspath("b"), src_dir_fd=root)
    os.close(root)
    assert links("a") == 2 and read("b") == b"kept"
