"""utimensat(2), futimens(3)"""
import errno
import os
import time

import pytest

from calls import AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT, refused, utimensat
from files import KINDS, make, marking
from people import alice, bob

pytestmark = pytest.mark.root
NOW, OMIT = (0, UTIME_NOW), (0, UTIME_OMIT)


def times(path):
    status = os.lstat(path)
    return status.st_atime_ns, status.st_mtime_ns


@pytest.mark.parametrize("kind", KINDS)
def test_nanoseconds(directory, kind):
    make(kind, "a")
    with marking((directory, "")):
        utimensat("a", (1_234_567_890, 123_456_789), (987_654_321, 1), AT_SYMLINK_NOFOLLOW)
    assert times("a") == (1_234_567_890_123_456_789, 987_654_321_000_000_001)
    changed = os.lstat("a").st_ctime_ns
    assert abs(changed - time.time_ns()) < 10 * 10**9
    with marking(("a", "c")):
        utimensat("a", (1_234_567_890, 123_456_789), (987_654_321, 1), AT_SYMLINK_NOFOLLOW)


@pytest.mark.parametrize("seconds", [0, 1, -1, -86_400, -2_000_000_000, 2_147_483_647, 2_147_483_648, 4_294_967_295,
                                     4_294_967_296, 9_000_000_000])
def test_far_times(directory, seconds):
    make("regular", "a")
    utimensat("a", (seconds, 999_999_999), (seconds, 1))
    assert times("a") == (seconds * 10**9 + 999_999_999, seconds * 10**9 + 1)


def test_now_and_omit(directory):
    make("regular", "a")
    utimensat("a", (1, 2), (3, 4))
    with marking(("a", "ac")):
        utimensat("a", NOW, OMIT)
    utimensat("a", (1, 2), (3, 4))
    with marking(("a", "mc")):
        utimensat("a", OMIT, NOW)
    assert times("a")[0] == 1_000_000_002
    with marking(("a", "")):
        utimensat("a", OMIT, OMIT)
    with marking(("a", "amc")):
        utimensat("a", NOW, NOW)
    utimensat("a", (1, 2), (3, 4))
    with marking(("a", "amc")):
        utimensat("a", None, None)
    utimensat("a", (5, 6), OMIT)
    assert times("a")[0] == 5_000_000_006


def test_links(directory):
    make("regular", "a")
    os.symlink("a", "l")
    before = times("l")
    utimensat("l", (1, 0), (2, 0))
    assert times("a") == (1 * 10**9, 2 * 10**9) and times("l")[1] == before[1]
    utimensat("l", (3, 0), (4, 0), AT_SYMLINK_NOFOLLOW)
    assert times("a") == (1 * 10**9, 2 * 10**9) and times("l") == (3 * 10**9, 4 * 10**9)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "symlink"])
def test_permissions(directory, kind):
    make(kind, "a", 0o644, owner=alice)
    alice(utimensat, "a", (1, 0), (2, 0))
    alice(utimensat, "a", NOW, OMIT)
    os.chmod("a", 0o444)
    alice(utimensat, "a", None, None)
    with marking(("a", "")):
        for asked in ((None, None), (NOW, NOW)):
            with refused(errno.EACCES):
                bob(utimensat, "a", *asked)
        for asked in (((1, 0), (1, 0)), (NOW, OMIT), (OMIT, NOW), ((1, 0), OMIT), (NOW, (1, 0))):
            with refused(errno.EPERM):
                bob(utimensat, "a", *asked)
        bob(utimensat, "a", OMIT, OMIT)
    # Who may write may say that it is now, but nothing else.
    os.chmod("a", 0o666)
    with marking(("a", "amc")):
        bob(utimensat, "a", NOW, NOW)
    with marking(("a", "amc")):
        bob(utimensat, "a", None, None)
    with refused(errno.EPERM):
        bob(utimensat, "a", (1, 0), (1, 0))


@pytest.mark.parametrize("bad", [-1, 10**9, 10**9 + 1])
def test_bad_nanoseconds(directory, bad):
    make("regular", "a")
    with marking(("a", "")):
        with refused(errno.EINVAL):
            utimensat("a", (0, bad), (0, 0))
        with refused(errno.EINVAL):
            utimensat("a", (0, 0), (0, bad))


def test_of_a_file_being_written(directory):
    """The written time doesn't come back when it is closed."""
    with open("a", "wb", buffering=0) as file:
        file.write(b"data")
        os.utime(file.fileno(), ns=(10, 20))
        assert times("a") == (10, 20)
    assert times("a") == (10, 20)
    with open("a", "r+b", buffering=0) as file:
        file.write(b"d")
        os.utime("a", ns=(30, 40))
        assert times("a") == (30, 40)
    assert times("a") == (30, 40)
