"""Files of every kind, and what stat says of them."""
import os
import socket
import stat
import time
from contextlib import contextmanager

from people import root

KINDS = ["regular", "directory", "fifo", "block", "char", "socket", "symlink"]
# Those that open(2), truncate(2) and the like have nothing to do with.
SPECIAL = ["fifo", "block", "char", "socket"]
NAME_MAX, PATH_MAX = 255, 4096


def make(kind, path, mode=0o644, owner=root):
    """A file of this kind at `path`."""
    if kind == "regular":
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    elif kind == "directory":
        os.mkdir(path, mode)
    elif kind == "fifo":
        os.mkfifo(path, mode)
    elif kind == "block":
        os.mknod(path, mode | stat.S_IFBLK, os.makedev(1, 2))
    elif kind == "char":
        os.mknod(path, mode | stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.fspath(path))
    elif kind == "symlink":
        os.symlink("nowhere", path)
    if owner is not root:
        os.lchown(path, owner.uid, owner.gid)
    if kind != "symlink":
        os.chmod(path, mode)
    return path


def remove(path):
    os.rmdir(path) if stat.S_ISDIR(os.lstat(path).st_mode) else os.unlink(path)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def links(path):
    return os.lstat(path).st_nlink


def owner(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data=b"data"):
    with open(path, "wb", buffering=0) as file:
        file.write(data)
    return path


def later():
    """File systems that take the time from the last tick see another one after this."""
    time.sleep(0.012)


def _status(place):
    return os.fstat(place) if isinstance(place, int) else os.lstat(place)


@contextmanager
def marking(*expected):
    """The body must mark these times for update, and no others, each a pair of a path or descriptor and letters:
    a for access, m for modification, c for status change."""
    before = [_status(place) for place, _ in expected]
    later()
    yield
    for (place, letters), old in zip(expected, before):
        new = _status(place)
        for letter in "amc":
            then, now = getattr(old, f"st_{letter}time_ns"), getattr(new, f"st_{letter}time_ns")
            if letter in letters:
                assert now > then, f"{place}: {letter}time was to be marked"
            else:
                assert now == then, f"{place}: {letter}time was not to be marked"
