"""flock(2), fcntl(2) locks"""
import errno
import fcntl
import os
import struct

import pytest

from calls import refused
from files import write


def elsewhere(function):
    """What the function gives in another process: a small number."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            code = function()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def number_of(call, *arguments):
    """The errno that the call fails with, 0 if it doesn't."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0


def test_flock(directory):
    write("a")
    file = os.open("a", os.O_RDWR)

    def attempt(how):
        other = os.open("a", os.O_RDONLY)
        return number_of(fcntl.flock, other, how | fcntl.LOCK_NB)

    fcntl.flock(file, fcntl.LOCK_EX)
    assert elsewhere(lambda: attempt(fcntl.LOCK_SH)) == errno.EAGAIN
    fcntl.flock(file, fcntl.LOCK_SH)
    assert elsewhere(lambda: attempt(fcntl.LOCK_SH)) == 0
    assert elsewhere(lambda: attempt(fcntl.LOCK_EX)) == errno.EAGAIN
    fcntl.flock(file, fcntl.LOCK_UN)
    assert elsewhere(lambda: attempt(fcntl.LOCK_EX)) == 0
    os.close(file)


def test_record_locks(directory):
    write("a", bytes(1000))
    file = os.open("a", os.O_RDWR)

    def attempt(how, length, start):
        other = os.open("a", os.O_RDWR)
        return number_of(fcntl.lockf, other, how | fcntl.LOCK_NB, length, start)

    fcntl.lockf(file, fcntl.LOCK_EX, 100, 50)
    assert elsewhere(lambda: attempt(fcntl.LOCK_EX, 10, 140)) == errno.EAGAIN
    assert elsewhere(lambda: attempt(fcntl.LOCK_EX, 10, 150)) == 0
    fcntl.lockf(file, fcntl.LOCK_SH, 20, 60)
    assert elsewhere(lambda: attempt(fcntl.LOCK_SH, 20, 60)) == 0
    assert elsewhere(lambda: attempt(fcntl.LOCK_SH, 20, 59)) == errno.EAGAIN
    # Any descriptor's closing ends the process's locks.
    os.close(os.open("a", os.O_RDONLY))
    assert elsewhere(lambda: attempt(fcntl.LOCK_EX, 0, 0)) == 0
    os.close(file)


def test_who_holds_a_lock(directory):
    write("a", bytes(1000))
    file = os.open("a", os.O_RDWR)
    fcntl.lockf(file, fcntl.LOCK_EX, 100, 50)
    layout, owner = "hhqqi4x", os.getpid()

    def holder():
        other = os.open("a", os.O_RDWR)
        asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, start, length, process = struct.unpack(layout, fcntl.fcntl(other, fcntl.F_GETLK, asked))
        return 0 if (kind, start, length, process) == (fcntl.F_WRLCK, 50, 100, owner) else 1

    assert elsewhere(holder) == 0
    os.close(file)


def test_locks_of_descriptions(directory):
    """F_OFD_SETLK: they belong to the open file, not to the process."""
    set_lock = 37
    write("a", bytes(100))
    first, second = os.open("a", os.O_RDWR), os.open("a", os.O_RDWR)
    whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(first, set_lock, whole)
    with refused(errno.EAGAIN):
        fcntl.fcntl(second, set_lock, whole)
    os.close(first)
    fcntl.fcntl(second, set_lock, whole)
    os.close(second)


def test_waiting_for_a_lock(directory):
    """A lock that a process dies with goes to the next who waits."""
    write("a")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        file = os.open("a", os.O_RDWR)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(writing, b"x")
        os.read(os.open("/dev/zero", os.O_RDONLY), 1)
        os._exit(0)
    os.read(reading, 1)
    file = os.open("a", os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    os.waitpid(child, 0)
    for descriptor in (file, reading, writing):
        os.close(descriptor)


def test_descriptor_that_can_not_write(directory):
    write("a")
    with open("a", "rb") as file, refused(errno.EBADF):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(OSError):
        fcntl.flock(9999, fcntl.LOCK_SH)
