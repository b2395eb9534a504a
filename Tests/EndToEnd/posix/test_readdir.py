"""readdir(3), telldir(3), seekdir(3): directories under change"""
import ctypes
import errno
import os
import random

import pytest

from calls import libc, refused
from files import KINDS, make

pytestmark = pytest.mark.root


class Entry(ctypes.Structure):
    """struct dirent"""
    _fields_ = [("ino", ctypes.c_uint64), ("offset", ctypes.c_int64), ("length", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]


for function, arguments, result in [
    ("opendir", [ctypes.c_char_p], ctypes.c_void_p), ("readdir", [ctypes.c_void_p], ctypes.POINTER(Entry)),
    ("telldir", [ctypes.c_void_p], ctypes.c_long), ("seekdir", [ctypes.c_void_p, ctypes.c_long], None),
    ("rewinddir", [ctypes.c_void_p], None), ("closedir", [ctypes.c_void_p], ctypes.c_int),
]:
    getattr(libc, function).argtypes, getattr(libc, function).restype = arguments, result


class Directory:
    """A DIR of C's."""

    def __init__(self, path="."):
        self.stream = libc.opendir(os.fsencode(path))
        assert self.stream

    def __enter__(self):
        return self

    def __exit__(self, *error):
        libc.closedir(self.stream)

    def next(self):
        """The next entry's name, inode number and type; None at the end."""
        entry = libc.readdir(self.stream)
        return (entry.contents.name.decode(), entry.contents.ino, entry.contents.type) if entry else None

    def rest(self):
        return list(iter(self.next, None))

    def tell(self):
        return libc.telldir(self.stream)

    def seek(self, position):
        libc.seekdir(self.stream, position)

    def rewind(self):
        libc.rewinddir(self.stream)


def make_many(count):
    names = {f"entry-{number:04}" for number in range(count)}
    for name in names:
        make("regular", name)
    return names


def test_dots_and_types(directory):
    os.makedirs("d/e")
    types = {"regular": 8, "directory": 4, "fifo": 1, "block": 6, "char": 2, "socket": 12, "symlink": 10}
    for kind in KINDS:
        make(kind, f"d/{kind}")
    with Directory("d") as listing:
        entries = {name: (node, type) for name, node, type in listing.rest()}
    assert entries.pop(".") == (os.stat("d").st_ino, 4) and entries.pop("..") == (os.stat(".").st_ino, 4)
    assert entries.pop("e")[0] == os.stat("d/e").st_ino
    assert entries == {kind: (os.lstat(f"d/{kind}").st_ino, types[kind]) for kind in KINDS}
    os.rename("d/e", "moved")
    with Directory("moved") as listing:
        assert ("..", os.stat(".").st_ino, 4) in listing.rest()


def test_positions(directory):
    make_many(300)
    with Directory() as listing:
        places, names = [], []
        while True:
            places.append(listing.tell())
            entry = listing.next()
            if entry is None:
                break
            names.append(entry[0])
        assert len(names) == len(set(names)) == 302
        for index in random.Random(2).sample(range(302), 40):
            listing.seek(places[index])
            assert listing.next()[0] == names[index]
        listing.seek(places[-1])
        assert listing.next() is None
        listing.rewind()
        assert [entry[0] for entry in listing.rest()] == names


def test_what_stays_is_seen_once(directory):
    """Whatever else comes and goes while the directory is being read."""
    stay = make_many(400)
    go = {f"go-{number}" for number in range(100)}
    for name in go:
        make("regular", name)
    choose, seen, gone = random.Random(3), [], sorted(go)
    with Directory() as listing:
        for index, entry in enumerate(iter(listing.next, None)):
            seen.append(entry[0])
            if index % 5 == 0 and gone:
                os.unlink(gone.pop(choose.randrange(len(gone))))
            if index % 7 == 0:
                make("regular", f"come-{index}")
            place = listing.tell()
            if index % 50 == 0:
                listing.seek(place)
    assert len(seen) == len(set(seen)) and stay <= set(seen)
    assert {name for name in seen if name not in stay} <= go | {".", ".."} | {
        name for name in os.listdir(".") if name.startswith("come-")}
    with Directory() as listing:
        assert {entry[0] for entry in listing.rest()} == set(os.listdir(".")) | {".", ".."}


def test_removing_while_reading(directory):
    """As rm -r does it."""
    make_many(500)
    with os.scandir(".") as entries:
        for entry in entries:
            os.unlink(entry.name)
    assert os.listdir(".") == []


def test_permissions(directory):
    from people import alice, bob
    make("directory", "d", 0o711, owner=alice)
    make("regular", "d/a")
    with refused(errno.EACCES):
        bob(os.listdir, "d")
    bob(os.stat, "d/a")
    os.chmod("d", 0o744)
    assert bob(os.listdir, "d") == ["a"]
    with refused(errno.EACCES):
        bob(os.stat, "d/a")
