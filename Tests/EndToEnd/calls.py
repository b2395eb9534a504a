"""System calls that Python lacks, and what is expected of calls."""
import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE_RANGE, FALLOC_ZERO_RANGE, FALLOC_INSERT_RANGE = 1, 2, 8, 16, 32
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100


def call(name, *arguments):
    """Calls libc's function; integers are passed as 64 bits."""
    function = getattr(libc, name)
    passed = [ctypes.c_int64(value) if isinstance(value, int) else
              os.fsencode(value) if isinstance(value, os.PathLike) else value for value in arguments]
    result = function(*passed)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def rename2(old, new, flags):
    call("renameat2", AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)


def fallocate(file, mode, offset, length):
    call("fallocate", file if isinstance(file, int) else file.fileno(), mode, offset, length)


class timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64)]


def utimensat(path, accessed, modified, flags=0):
    """Times are (seconds, nanoseconds), where the latter may be UTIME_NOW or UTIME_OMIT; None for both is now."""
    times = None if accessed is None else (timespec * 2)(timespec(*accessed), timespec(*modified))
    call("utimensat", AT_FDCWD, os.fsencode(path), times, flags)


class refused:
    """The body must fail with one of these errors."""

    def __init__(self, *numbers):
        self.numbers = numbers
        self.names = " or ".join(errno.errorcode[number] for number in numbers)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert error is not None, f"nothing was raised: expected {self.names}"
        if not isinstance(error, OSError):
            return False
        assert error.errno in self.numbers, f"{error}: expected {self.names}"
        return True
