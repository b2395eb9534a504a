"""copy_file_range(2)"""
import errno
import os
import random

import pytest

from calls import refused
from files import marking, mode, read, write
from people import alice

pytestmark = pytest.mark.root
DATA = random.Random(5).randbytes(300_000)


def copy(source, target, length, from_offset=None, to_offset=None):
    done = 0
    while done < length:
        count = os.copy_file_range(
            source, target, length - done, None if from_offset is None else from_offset + done,
            None if to_offset is None else to_offset + done)
        if count == 0:
            break
        done += count
    return done


@pytest.fixture
def pair(directory):
    write("a", DATA)
    source, target = os.open("a", os.O_RDONLY), os.open("b", os.O_CREAT | os.O_RDWR)
    yield source, target
    os.close(source)
    os.close(target)


def test_whole(pair):
    with marking((pair[1], "mc")):
        assert copy(*pair, len(DATA)) == len(DATA)
    assert read("b") == DATA
    assert os.lseek(pair[0], 0, os.SEEK_CUR) == os.lseek(pair[1], 0, os.SEEK_CUR) == len(DATA)
    assert copy(*pair, 10) == 0


def test_parts(pair):
    assert copy(*pair, 100_000, 1234, 77) == 100_000
    assert read("b") == bytes(77) + DATA[1234:101_234]
    # Beyond the source's end there is nothing.
    assert copy(*pair, 5000, len(DATA) - 10, 0) == 10
    assert read("b")[:10] == DATA[-10:]
    assert copy(*pair, 100, len(DATA) + 5, 0) == 0


def test_within_a_file(directory):
    write("a", DATA)
    file = os.open("a", os.O_RDWR)
    assert copy(file, file, 1000, 0, 200_000) == 1000
    assert read("a") == DATA[:200_000] + DATA[:1000] + DATA[201_000:]
    with refused(errno.EINVAL):
        os.copy_file_range(file, file, 1000, 0, 500)
    os.close(file)


def test_bad_files(pair):
    source, target = pair
    with refused(errno.EBADF):
        os.copy_file_range(source, source, 10, 0, 100)
    appender = os.open("b", os.O_WRONLY | os.O_APPEND)
    with refused(errno.EBADF):
        os.copy_file_range(source, appender, 10)
    with refused(errno.EBADF):
        os.copy_file_range(appender, target, 10)
    os.close(appender)
    place = os.open(".", os.O_RDONLY)
    with refused(errno.EISDIR, errno.EINVAL, errno.EBADF):
        os.copy_file_range(place, target, 10)
    os.close(place)


def test_takes_set_id_bits(pair):
    os.chmod("b", 0o6777)

    def copies():
        target = os.open("b", os.O_WRONLY)
        os.copy_file_range(pair[0], target, 10, 0)
        os.close(target)

    alice(copies)
    assert mode("b") == 0o777
