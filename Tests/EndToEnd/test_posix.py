"""What a path must do, on a real mount."""
import errno
import fcntl
import mmap
import os
import random
import stat

import pytest

from calls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, RENAME_EXCHANGE, RENAME_NOREPLACE, fallocate, refused, rename2
from pail import IS_ROOT, run


def test_create_write_read(directory):
    path = directory / "a"
    path.write_bytes(b"hello")
    assert path.read_bytes() == b"hello"
    status = path.stat()
    assert status.st_size == 5 and stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    path.write_bytes(b"shorter"[:3])
    assert path.read_bytes() == b"sho"
    with path.open("ab") as file:
        file.write(b"rt")
    assert path.read_bytes() == b"short"
    with refused(errno.ENOENT):
        (directory / "missing").read_bytes()
    with refused(errno.ENOTDIR):
        (path / "below").read_bytes()


def test_exclusive_create(directory):
    path = directory / "a"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    with refused(errno.EEXIST):
        os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def test_random_writes_are_read_back(mount):
    choose = random.Random(7)
    model = bytearray()
    path = mount.path / "random"
    with open(path, "w+b", buffering=0) as file:
        for step in range(300):
            offset = choose.randrange(0, 2_000_000)
            data = choose.randbytes(choose.choice([1, 17, 4096, 30_000]))
            if step % 40 == 39:
                size = choose.randrange(0, 2_000_000)
                os.ftruncate(file.fileno(), size)
                model = model[:size] + bytes(max(0, size - len(model)))
                continue
            if offset + len(data) > len(model):
                model += bytes(offset + len(data) - len(model))
            model[offset:offset + len(data)] = data
            assert os.pwrite(file.fileno(), data, offset) == len(data)
        assert os.pread(file.fileno(), len(model) + 1, 0) == model
    mount.remount(empty_cache=True)
    assert path.read_bytes() == model


def test_truncate(directory):
    path = directory / "a"
    path.write_bytes(b"0123456789")
    os.truncate(path, 4)
    assert path.read_bytes() == b"0123"
    os.truncate(path, 8)
    assert path.read_bytes() == b"0123\0\0\0\0"
    os.truncate(path, 0)
    assert path.stat().st_size == 0
    with refused(errno.EISDIR):
        os.truncate(directory, 0)


def test_rename(directory):
    (directory / "a").write_text("a")
    (directory / "b").write_text("b")
    os.rename(directory / "a", directory / "b")
    assert (directory / "b").read_text() == "a" and not (directory / "a").exists()
    (directory / "d/e").mkdir(parents=True)
    (directory / "d/e/f").write_text("f")
    os.rename(directory / "d", directory / "moved")
    assert (directory / "moved/e/f").read_text() == "f" and not (directory / "d").exists()
    with refused(errno.EINVAL):
        os.rename(directory / "moved", directory / "moved/e/inside")
    (directory / "full").mkdir()
    (directory / "full/x").write_text("x")
    with refused(errno.ENOTEMPTY):
        os.rename(directory / "moved", directory / "full")
    with refused(errno.EISDIR):
        os.rename(directory / "b", directory / "full")
    with refused(errno.ENOTDIR):
        os.rename(directory / "full", directory / "b")
    with refused(errno.ENOENT):
        os.rename(directory / "missing", directory / "b")


def test_rename_flags(directory):
    (directory / "a").write_text("a")
    (directory / "b").write_text("b")
    with refused(errno.EEXIST):
        rename2(directory / "a", directory / "b", RENAME_NOREPLACE)
    rename2(directory / "a", directory / "c", RENAME_NOREPLACE)
    rename2(directory / "b", directory / "c", RENAME_EXCHANGE)
    assert (directory / "b").read_text() == "a" and (directory / "c").read_text() == "b"
    (directory / "d").mkdir()
    (directory / "d/f").write_text("f")
    rename2(directory / "b", directory / "d", RENAME_EXCHANGE)
    assert (directory / "b/f").read_text() == "f" and (directory / "d").read_text() == "a"
    with refused(errno.ENOENT):
        rename2(directory / "b", directory / "missing", RENAME_EXCHANGE)


def test_links(mount):
    directory = mount.path
    (directory / "a").write_text("one")
    os.link(directory / "a", directory / "b")
    assert (directory / "a").stat().st_nlink == 2
    assert (directory / "a").stat().st_ino == (directory / "b").stat().st_ino
    (directory / "b").write_text("two")
    assert (directory / "a").read_text() == "two"
    os.unlink(directory / "a")
    assert (directory / "b").read_text() == "two" and (directory / "b").stat().st_nlink == 1
    with refused(errno.EEXIST):
        os.link(directory / "b", directory / "b")
    os.link(directory / "b", directory / "c")
    mount.remount(empty_cache=True)
    assert (directory / "c").read_text() == "two" and (directory / "b").read_text() == "two"


def test_symlinks(mount):
    link = mount.path / "link"
    os.symlink("target", link)
    assert os.readlink(link) == "target" and not link.exists()
    (mount.path / "target").write_text("x")
    assert link.read_text() == "x"
    os.symlink("t" * 4000, mount.path / "long")
    mount.remount(empty_cache=True)
    assert os.readlink(link) == "target" and os.readlink(mount.path / "long") == "t" * 4000
    assert link.lstat().st_size == len("target")


def test_extended_attributes(mount):
    path = mount.path / "a"
    path.write_text("x")
    os.setxattr(path, "user.colour", b"blue\0green")
    os.setxattr(path, "user.empty", b"")
    assert os.getxattr(path, "user.colour") == b"blue\0green"
    assert sorted(os.listxattr(path)) == ["user.colour", "user.empty"]
    with refused(errno.EEXIST):
        os.setxattr(path, "user.colour", b"red", os.XATTR_CREATE)
    with refused(errno.ENODATA):
        os.setxattr(path, "user.other", b"red", os.XATTR_REPLACE)
    with refused(errno.ENODATA):
        os.getxattr(path, "user.missing")
    os.removexattr(path, "user.empty")
    mount.remount(empty_cache=True)
    assert os.listxattr(path) == ["user.colour"] and os.getxattr(path, "user.colour") == b"blue\0green"


def test_fallocate_and_holes(directory):
    data = bytes(range(256)) * 256
    with open(directory / "a", "w+b", buffering=0) as file:
        file.write(data)
        fallocate(file, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 4096, 8192)
        expected = data[:4096] + bytes(8192) + data[12288:]
        assert os.pread(file.fileno(), len(data), 0) == expected
        fallocate(file, 0, 0, len(data) + 1000)
        assert os.fstat(file.fileno()).st_size == len(data) + 1000
        assert os.pread(file.fileno(), 2000, len(data)) == bytes(1000)
        with refused(errno.EINVAL):
            fallocate(file, 0, 0, 0)


def test_seek_data_and_hole(directory):
    with open(directory / "a", "w+b", buffering=0) as file:
        file.write(b"x" * 4096)
        os.ftruncate(file.fileno(), 1 << 20)
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0
        assert 4096 <= os.lseek(file.fileno(), 0, os.SEEK_HOLE) <= 1 << 20
        with refused(errno.ENXIO):
            os.lseek(file.fileno(), 1 << 20, os.SEEK_DATA)


def test_copy_file_range(mount):
    data = random.Random(3).randbytes(700_000)
    (mount.path / "a").write_bytes(data)
    with open(mount.path / "a", "rb") as source, open(mount.path / "b", "wb") as sink:
        copied = 0
        while copied < len(data):
            count = os.copy_file_range(source.fileno(), sink.fileno(), len(data) - copied)
            assert count > 0
            copied += count
    assert (mount.path / "b").read_bytes() == data
    mount.remount(empty_cache=True)
    assert (mount.path / "b").read_bytes() == data


@pytest.mark.root
def test_special_files(mount):
    os.mkfifo(mount.path / "fifo", 0o600)
    os.mknod(mount.path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    mount.remount(empty_cache=True)
    assert stat.S_ISFIFO((mount.path / "fifo").lstat().st_mode)
    status = (mount.path / "null").lstat()
    assert stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)


def test_modes_owners_and_times(mount):
    path = mount.path / "a"
    path.write_text("x")
    os.chmod(path, 0o4751)
    os.utime(path, ns=(1_234_567_890_123_456_789, 987_654_321_012_345_678))
    (mount.path / "d").mkdir(mode=0o710)
    if IS_ROOT:
        os.chown(path, 1234, 2345)
        os.chmod(path, 0o4751)
    for _ in range(2):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o4751
        assert status.st_mtime_ns == 987_654_321_012_345_678
        if IS_ROOT:
            assert (status.st_uid, status.st_gid) == (1234, 2345)
        assert stat.S_IMODE((mount.path / "d").stat().st_mode) == 0o710
        mount.remount(empty_cache=True)


def test_statfs(directory):
    status = os.statvfs(directory)
    assert status.f_frsize > 0 and status.f_blocks > 0 and status.f_bavail > 0 and status.f_namemax == 255


def test_names(directory):
    names = ["ö", "a b", "quote'\"", "new\nline", "-dash", "#hash", "100%", "a+b", "back\\slash", "x" * 255, "雪", "?*"]
    for name in names:
        (directory / name).write_text(name)
    assert sorted(os.listdir(directory)) == sorted(names)
    for name in names:
        assert (directory / name).read_text() == name
    with refused(errno.ENAMETOOLONG):
        (directory / ("x" * 256)).write_text("")


def test_directory_of_3000(mount):
    folder = mount.path / "many"
    folder.mkdir()
    names = {f"entry-{number:04}" for number in range(3000)}
    for name in names:
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))
    assert set(os.listdir(folder)) == names
    assert len(os.listdir(folder)) == 3000
    with os.scandir(folder) as entries:
        removed = [entry.name for index, entry in enumerate(entries) if index % 2 == 0 and not os.unlink(entry.path)]
    assert set(os.listdir(folder)) == names - set(removed)
    with refused(errno.ENOTEMPTY):
        os.rmdir(folder)
    mount.remount(empty_cache=True)
    assert set(os.listdir(folder)) == names - set(removed)


def test_directories(mount):
    folder = mount.path / "d"
    folder.mkdir()
    with refused(errno.EEXIST):
        folder.mkdir()
    (folder / "e").mkdir()
    with refused(errno.ENOTEMPTY):
        folder.rmdir()
    mount.remount(empty_cache=True)
    assert os.listdir(folder) == ["e"]
    (folder / "e").rmdir()
    folder.rmdir()
    assert os.listdir(mount.path) == []
    with refused(errno.EISDIR):
        (mount.path / "x").mkdir()
        os.unlink(mount.path / "x")


def test_unlinked_file_stays_open(mount):
    path = mount.path / "a"
    path.write_bytes(b"before")
    with open(path, "r+b", buffering=0) as file:
        os.unlink(path)
        assert not path.exists()
        file.write(b"after!")
        assert os.pread(file.fileno(), 10, 0) == b"after!"
        assert os.fstat(file.fileno()).st_nlink == 0
        path.write_bytes(b"another")
        assert os.pread(file.fileno(), 10, 0) == b"after!"
    assert path.read_bytes() == b"another"
    mount.flush()
    assert mount.bucket.get("a") == b"another"


def test_replaced_file_stays_open(directory):
    (directory / "a").write_bytes(b"old")
    (directory / "b").write_bytes(b"new")
    with open(directory / "a", "rb") as file:
        os.rename(directory / "b", directory / "a")
        assert file.read() == b"old"
    assert (directory / "a").read_bytes() == b"new"


def test_memory_map(directory):
    path = directory / "a"
    path.write_bytes(bytes(20_000))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[5000:5005] = b"hello"
        memory.flush()
        assert os.pread(file.fileno(), 5, 5000) == b"hello"
    assert path.read_bytes()[5000:5005] == b"hello"


def test_locks(directory):
    path = directory / "a"
    path.write_text("x")
    with open(path, "r+b") as first, open(path, "r+b") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        with refused(errno.EAGAIN):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_fsync(directory):
    with open(directory / "a", "wb") as file:
        file.write(b"x" * 100_000)
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)


@pytest.mark.root
def test_permissions_are_enforced(mounts, bucket):
    mount = mounts(bucket, "--allow-other")
    secret = mount.path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    (mount.path / "open").write_text("y")
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    assert run(*other, "cat", mount.path / "open").stdout == "y"
    denied = run(*other, "cat", secret, check=False)
    assert denied.returncode != 0 and "Permission denied" in denied.stderr


def test_remote_sync_waits_for_the_bucket(mounts, bucket):
    mount = mounts(bucket, "--sync", "remote", "--upload-delay", "1m")
    with open(mount.path / "a", "wb") as file:
        file.write(b"synced")
        file.flush()
        os.fsync(file.fileno())
        assert bucket.get("a") == b"synced"
