"""The same random calls on two directories, one of them on a file system that is known to be right: each call has to
come out alike, and so has what is there afterwards."""
import errno
import mmap
import os
import random
import stat

from calls import (FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE, RENAME_EXCHANGE, RENAME_NOREPLACE, fallocate,
                   rename2)

NAMES = ["a", "b", "c", "d", "long-" + "n" * 200]
MAXIMUM_BYTES = 3_000_000
OPEN_FILES = 8
# Times before this were set by a call, and have to be the same; others are when something happened.
SET_TIME = 1_500_000_000 * 10**9


class Difference(AssertionError):
    pass


class Twins:
    def __init__(self, right, tested, seed):
        # So deep that no symbolic link leads from one to the other.
        self.roots = [os.path.join(place, "1/2/3/4/5/6") for place in (right, tested)]
        for root in self.roots:
            os.makedirs(root)
        self.choose = random.Random(seed)
        self.seed = seed
        self.files = []
        self.known = [""]
        self.done = []

    # What calls come to.

    def both(self, what, function, *places):
        """Calls the function for each root, with each place below it; gives what came of it, if it was alike."""
        outcomes = []
        for index, root in enumerate(self.roots):
            try:
                here = [f"{root}/{place}" if isinstance(place, str) else place[index] for place in places]
                outcomes.append(("gave", function(*here)))
            except OSError as error:
                number = errno.ENOTEMPTY if error.errno == errno.EEXIST and "dir" in what else error.errno
                outcomes.append(("failed with", errno.errorcode[number]))
        self.done.append(f"{what} {places}: {outcomes[0][0]} {str(outcomes[0][1])[:60]}")
        if outcomes[0] != outcomes[1]:
            self.fail(f"{what} {places}: should have {self.text(outcomes[0])}, {self.text(outcomes[1])}")
        return outcomes[0]

    def text(self, outcome):
        return f"{outcome[0]} {str(outcome[1])[:300]}"

    def fail(self, reason):
        last = "\n".join(self.done[-25:])
        raise Difference(f"seed {self.seed}, call {len(self.done)}:\n{last}\n{reason}")

    # Places.

    def path(self):
        if self.choose.random() < 0.75:
            return self.choose.choice(self.known) or self.choose.choice(NAMES)
        above = self.choose.choice(self.known)
        name = self.choose.choice(NAMES)
        return f"{above}/{name}" if above else name

    def learn(self):
        """What is there now."""
        self.known = [""]
        for folder, folders, files in os.walk(self.roots[0]):
            below = os.path.relpath(folder, self.roots[0])
            self.known += [os.path.normpath(os.path.join(below, name)) for name in folders + files]

    def extent(self):
        offset = self.choose.choice([0, 4096, self.choose.randrange(MAXIMUM_BYTES)])
        return offset, self.choose.choice([1, 100, 4096, 10_000, self.choose.randrange(1, 300_000)])

    # Calls.

    def run(self, count):
        for _ in range(count):
            calls = FILE_CALLS if self.files and self.choose.random() < 0.5 else PATH_CALLS
            self.choose.choice(calls)(self)
            if len(self.done) % 40 == 0:
                self.learn()

    def open(self):
        flags = self.choose.choice([os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_RDONLY, os.O_RDWR | os.O_TRUNC])
        flags |= self.choose.choice([0, os.O_CREAT, os.O_CREAT | os.O_EXCL])
        path, opened = self.path(), []
        if len(self.files) >= OPEN_FILES:
            self.close()

        def attempt(place):
            opened.append(os.open(place, flags, 0o644))

        # Opening a fifo would wait for somebody.
        if stat.S_ISFIFO(self.kind(path)):
            return
        if self.both(f"open {flags:o}", attempt, path)[0] == "gave":
            self.files.append(opened)

    def kind(self, path):
        try:
            return os.stat(f"{self.roots[0]}/{path}").st_mode
        except OSError:
            return 0

    def file(self):
        return self.choose.choice(self.files)

    def close(self):
        file = self.file()
        self.files.remove(file)
        self.both("close", os.close, file)

    def write(self):
        offset, length = self.extent()
        data = self.choose.randbytes(length)
        self.both(f"pwrite {offset} {length}", lambda file: os.pwrite(file, data, offset), self.file())

    def append(self):
        data = self.choose.randbytes(self.extent()[1])
        file = self.file()
        if os.fstat(file[0]).st_size < MAXIMUM_BYTES:
            self.both(f"write {len(data)}", lambda file: (os.lseek(file, 0, os.SEEK_END), os.write(file, data)), file)

    def read(self):
        offset, length = self.extent()
        self.both(f"pread {offset} {length}", lambda file: os.pread(file, length, offset), self.file())

    def truncate(self):
        size = self.choose.choice([0, self.choose.randrange(MAXIMUM_BYTES)])
        self.both(f"ftruncate {size}", lambda file: os.ftruncate(file, size), self.file())

    def truncate_path(self):
        size = self.choose.randrange(MAXIMUM_BYTES)
        self.both(f"truncate {size}", lambda path: os.truncate(path, size), self.path())

    def allocate(self):
        offset, length = self.extent()
        mode = self.choose.choice([0, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE,
                                   FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE])
        self.both(f"fallocate {mode} {offset} {length}", lambda file: fallocate(file, mode, offset, length), self.file())

    def copy(self):
        (source, length), target = self.extent(), self.extent()[0]
        first, second = self.file(), self.file()
        pairs = list(zip(first, second))

        def copy(pair):
            done = 0
            while done < length:
                count = os.copy_file_range(pair[0], pair[1], length - done, source + done, target + done)
                if count == 0:
                    break
                done += count
            return done

        self.both(f"copy_file_range {source} {target} {length}", copy, pairs)

    def map(self):
        offset, length = self.extent()
        data = self.choose.randbytes(length)

        def change(file):
            status = os.fstat(file)
            size = status.st_size
            # The size of a directory means nothing.
            if not stat.S_ISREG(status.st_mode) or offset >= size:
                return None
            end = min(size, offset + length)
            with mmap.mmap(file, size) as memory:
                before = memory[offset:end]
                memory[offset:end] = data[:end - offset]
            return before

        self.both(f"mmap {offset} {length}", change, self.file())

    def sync(self):
        self.both("fsync", os.fsync, self.file())

    def status(self):
        self.both("fstat", lambda file: self.shown(os.fstat(file)), self.file())

    def list(self):
        self.both("listdir", lambda path: sorted(os.listdir(path)), self.path())

    def look(self):
        self.both("lstat", lambda path: self.shown(os.lstat(path)), self.path())

    def make_directory(self):
        self.both("mkdir", lambda path: os.mkdir(path, 0o755), self.path())

    def remove_directory(self):
        self.both("rmdir", os.rmdir, self.path())

    def unlink(self):
        self.both("unlink", os.unlink, self.path())

    def rename(self):
        self.both("rename over dir or file", os.rename, self.path(), self.path())

    def rename_specially(self):
        flags = self.choose.choice([RENAME_NOREPLACE, RENAME_EXCHANGE])
        self.both(f"renameat2 {flags}", lambda old, new: rename2(old, new, flags), self.path(), self.path())

    def link(self):
        self.both("link", lambda old, new: os.link(old, new, follow_symlinks=False), self.path(), self.path())

    def symlink(self):
        target = self.choose.choice(["", "../"]) + self.choose.choice(NAMES)
        self.both("symlink", lambda path: os.symlink(target, path), self.path())

    def fifo(self):
        self.both("mkfifo", os.mkfifo, self.path())

    def change_mode(self):
        mode = self.choose.randrange(0o10000)
        self.both(f"chmod {mode:o}", lambda path: os.chmod(path, mode), self.path())

    def change_owner(self):
        owner = self.choose.choice([-1, 0, 1000]), self.choose.choice([-1, 0, 1000])
        self.both(f"chown {owner}", lambda path: os.lchown(path, *owner), self.path())

    def change_times(self):
        times = self.choose.randrange(-10**18, SET_TIME), self.choose.randrange(-10**18, SET_TIME)
        self.both(f"utime {times}", lambda path: os.utime(path, ns=times, follow_symlinks=False), self.path())

    def set_attribute(self):
        value = self.choose.randbytes(self.choose.randrange(60))
        flags = self.choose.choice([0, os.XATTR_CREATE, os.XATTR_REPLACE])
        name = f"user.{self.choose.choice('xyz')}"
        self.both(f"setxattr {name}", lambda path: os.setxattr(path, name, value, flags, follow_symlinks=False),
                  self.path())

    def remove_attribute(self):
        name = f"user.{self.choose.choice('xyz')}"
        self.both(f"removexattr {name}", lambda path: os.removexattr(path, name, follow_symlinks=False), self.path())

    # What is there.

    def shown(self, status):
        """What has to be the same of a file's status."""
        return (oct(status.st_mode), status.st_uid, status.st_gid, status.st_nlink,
                0 if stat.S_ISDIR(status.st_mode) else status.st_size,
                status.st_mtime_ns if status.st_mtime_ns < SET_TIME else "now")

    def tree(self, root):
        found = {}
        for folder, folders, files in os.walk(root):
            for path in [folder] + [os.path.join(folder, name) for name in folders + files]:
                status = os.lstat(path)
                entry = [self.shown(status)]
                if stat.S_ISLNK(status.st_mode):
                    entry.append(os.readlink(path))
                elif stat.S_ISREG(status.st_mode):
                    with open(path, "rb") as file:
                        entry.append(hash(file.read()))
                if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                    entry.append({name: os.getxattr(path, name) for name in sorted(os.listxattr(path))})
                found[os.path.relpath(path, root)] = entry
        return found

    def compare(self):
        """Everything that is there."""
        right, tested = (self.tree(root) for root in self.roots)
        if right != tested:
            names = [name for name in sorted(right | tested) if right.get(name) != tested.get(name)]
            self.fail("\n".join(f"{name}: should be {right.get(name)}, is {tested.get(name)}" for name in names[:5]))

    def finish(self):
        while self.files:
            self.close()


PATH_CALLS = [
    Twins.open, Twins.open, Twins.open, Twins.open, Twins.make_directory, Twins.make_directory, Twins.remove_directory,
    Twins.unlink, Twins.rename, Twins.rename, Twins.rename, Twins.rename_specially, Twins.link, Twins.symlink,
    Twins.fifo, Twins.change_mode, Twins.change_owner, Twins.change_times, Twins.set_attribute, Twins.remove_attribute,
    Twins.truncate_path, Twins.list, Twins.look, Twins.look,
]
FILE_CALLS = [
    Twins.write, Twins.write, Twins.write, Twins.append, Twins.read, Twins.read, Twins.truncate, Twins.allocate,
    Twins.copy, Twins.map, Twins.sync, Twins.status, Twins.close,
]
