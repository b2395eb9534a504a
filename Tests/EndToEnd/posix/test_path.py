"""What every call that takes a path must make of a bad one."""
import errno
import os
import stat

import pytest

from calls import call, refused
from files import KINDS, NAME_MAX, PATH_MAX, make, remove
from people import alice, bob

pytestmark = pytest.mark.root

# Calls on what is there, each as a function of the path.
ON_EXISTING = {
    "access": lambda path: os.access(path, os.R_OK) or os.stat(path),
    "chdir": os.chdir,
    "chmod": lambda path: os.chmod(path, 0o700),
    "chown": lambda path: os.chown(path, 0, 0),
    "lchown": lambda path: os.lchown(path, 0, 0),
    "link from": lambda path: os.link(path, "linked"),
    "listdir": os.listdir,
    "open": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "readlink": os.readlink,
    "rename from": lambda path: os.rename(path, "renamed"),
    "rmdir": os.rmdir,
    "stat": os.stat,
    "truncate": lambda path: os.truncate(path, 0),
    "unlink": os.unlink,
    "utimensat": lambda path: os.utime(path),
    "xattr": lambda path: os.setxattr(path, "user.a", b"a"),
}
# Calls that make the name.
MAKING = {
    "link to": lambda path: os.link("other", path),
    "mkdir": os.mkdir,
    "mkfifo": os.mkfifo,
    "mknod": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3)),
    "open creating": lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
    "rename to": lambda path: os.rename("other", path),
    "symlink": lambda path: os.symlink("x", path),
}
CALLS = ON_EXISTING | MAKING
every_call = pytest.mark.parametrize("name", CALLS)


def deep(length, leaf="n"):
    """A relative path of this many bytes, of names of half the longest."""
    step = "d" * (NAME_MAX // 2) + "/"
    count = (length - 1) // len(step)
    left = length - count * len(step)
    return step * count + leaf * left


def make_parents(path):
    place = os.open(".", os.O_RDONLY)
    for part in path.split("/")[:-1]:
        os.mkdir(part, dir_fd=place)
        below = os.open(part, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)


@every_call
def test_a_file_on_the_way(directory, name):
    make("regular", "file")
    make("regular", "other")
    with refused(errno.ENOTDIR):
        CALLS[name]("file/below")


@every_call
def test_something_missing_on_the_way(directory, name):
    make("regular", "other")
    with refused(errno.ENOENT):
        CALLS[name]("missing/below")


@pytest.mark.parametrize("name", ON_EXISTING)
def test_missing(directory, name):
    with refused(errno.ENOENT):
        ON_EXISTING[name]("missing")


@every_call
def test_empty_path(directory, name):
    make("regular", "other")
    with refused(errno.ENOENT):
        CALLS[name]("")


@every_call
def test_circle_of_links(directory, name):
    os.symlink("b", "a")
    os.symlink("a", "b")
    make("regular", "other")
    with refused(errno.ELOOP):
        CALLS[name]("a/below")


@pytest.mark.parametrize("name", ["access", "chdir", "chmod", "chown", "listdir", "open", "stat", "truncate",
                                  "utimensat", "xattr", "open creating"])
def test_circle_of_links_at_the_end(directory, name):
    os.symlink("b", "a")
    os.symlink("a", "b")
    with refused(errno.ELOOP):
        CALLS[name]("a")


@every_call
def test_no_permission_to_search(directory, name):
    make("directory", "closed", 0o755, owner=alice)
    make("regular", "closed/file", owner=alice)
    make("regular", "other", owner=bob)
    os.chmod(directory, 0o777)
    os.chmod("closed", 0o644)
    with refused(errno.EACCES):
        bob(CALLS[name], "closed/file")


@every_call
def test_longest_name(directory, name):
    make("regular", "other")
    with refused(errno.ENAMETOOLONG):
        CALLS[name]("n" * (NAME_MAX + 1))
    with refused(errno.ENAMETOOLONG):
        CALLS[name]("n" * (NAME_MAX + 1) + "/below")


@pytest.mark.parametrize("kind", KINDS)
def test_name_of_255_bytes(directory, kind):
    name = "n" * NAME_MAX
    if kind == "socket":
        # sun_path is shorter.
        os.mknod(name, 0o600 | stat.S_IFSOCK)
    else:
        make(kind, name)
    assert os.listdir(".") == [name]
    os.rename(name, "m" * NAME_MAX)
    remove("m" * NAME_MAX)
    assert os.listdir(".") == []


def test_longest_path(directory):
    """Every call takes a path of PATH_MAX bytes with its NUL, and none a longer one. The bucket's keys are longer then
    than those of S3 may be."""
    make("regular", "other")
    longest = deep(PATH_MAX - 1)
    make_parents(longest)
    for name, make_it in MAKING.items():
        with refused(errno.ENAMETOOLONG):
            make_it(longest + "n")
        make_it(longest)
        assert stat.S_IFMT(os.lstat(longest).st_mode)
        if name == "rename to":
            os.rename(longest, "other")
        else:
            remove(longest)
    for name, use in ON_EXISTING.items():
        with refused(errno.ENAMETOOLONG):
            use(longest + "n")
    make("regular", longest)
    os.truncate(longest, 10)
    os.chmod(longest, 0o640)
    with open(longest, "rb") as file:
        assert file.read() == bytes(10)
    os.link(longest, "linked")
    os.unlink(longest)
    assert os.stat("linked").st_size == 10


@every_call
def test_bad_address(directory, name):
    calls = {
        "chmod": ("chmod", 1, 0o700), "mkdir": ("mkdir", 1, 0o700), "rmdir": ("rmdir", 1), "unlink": ("unlink", 1),
        "truncate": ("truncate", 1, 0), "chown": ("chown", 1, 0, 0), "symlink": ("symlink", 1, b"a"),
        "rename from": ("rename", 1, b"a"), "rename to": ("rename", b"other", 1), "open": ("open", 1, 0),
        "link from": ("link", 1, b"a"), "link to": ("link", b"other", 1),
    }
    if name not in calls:
        pytest.skip("Python's own call takes a name only")
    make("regular", "other")
    with refused(errno.EFAULT):
        call(*calls[name])


@pytest.mark.parametrize("kind", KINDS)
def test_slash_at_the_end(directory, kind):
    make(kind, "a")
    if kind == "directory":
        assert os.stat("a/").st_ino == os.stat("a").st_ino
    else:
        with refused(errno.ENOENT if kind == "symlink" else errno.ENOTDIR):
            os.stat("a/")
