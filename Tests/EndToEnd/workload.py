"""A mixed load whose every step is remembered, for tests that kill the daemon under it.

A step is a list of system calls; each leaves the files in a state that is written down before the call is made. What
was acknowledged must be there afterwards; the one call that was under way when the daemon died may or may not have
happened, and a write may have happened in part."""
import errno
import hashlib
import os
import random
import threading
from pathlib import Path

FOLDERS = 5
MOST_FILES = 60
SIZES = (0, 1, 500, 4096, 10_000, 70_000, 250_000)
GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV, errno.EINTR)


class Model:
    """What the mount must hold: path to content, and every content that a file has ever had."""

    def __init__(self):
        self.files = {}
        self.hashes = set()

    def set(self, path, content):
        self.files[path] = content
        self.hashes.add(hashlib.sha256(content).digest())


class Workload:
    def __init__(self, root, seed):
        self.root = Path(root)
        self.choose = random.Random(seed)
        self.model = Model()
        self.steps = 0
        # path -> the contents that it may have (None: absent), while a call is under way
        self.pending = {}
        # The call under way is a write: a part of it may have been done.
        self.partial = False
        self.generation = 0

    def prepare(self):
        for number in range(FOLDERS):
            (self.root / f"d{number}").mkdir()

    # Each step: decide from the seed, note what may be, do it, note what is.

    def step(self):
        actions = [self.create] * 4 + [self.overwrite] * 3 + [self.append] * 3 + [self.replace] * 2 + [
            self.rename] * 3 + [self.delete] * 2 + [self.rename_folder]
        if not self.model.files:
            actions = [self.create]
        elif len(self.model.files) >= MOST_FILES:
            actions = [self.delete, self.rename, self.overwrite]
        self.choose.choice(actions)()
        self.steps += 1

    def content(self):
        return self.choose.randbytes(self.choose.choice(SIZES))

    def any_file(self):
        return self.choose.choice(sorted(self.model.files))

    def new_path(self):
        self.generation += 1
        return f"d{self.choose.randrange(FOLDERS)}/f{self.generation}"

    def attempt(self, call, *states, partial=False):
        """`states`: path, and what it is after the call; None is absent."""
        self.pending = dict(states)
        self.partial = partial
        for _, content in states:
            if content is not None:
                self.model.hashes.add(hashlib.sha256(content).digest())
        result = call()
        for path, content in states:
            if content is None:
                self.model.files.pop(path, None)
            else:
                self.model.set(path, content)
        self.pending = {}
        return result

    def write(self, file, path, data, offset, final):
        if data:
            def call():
                # A death in the middle of a call leaves a part of it done, and the rest fails.
                done = 0
                while done < len(data):
                    done += os.pwrite(file, data[done:], offset + done)
            self.attempt(call, (path, final), partial=True)

    def create(self):
        path, data = self.new_path(), self.content()
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        file = self.attempt(lambda: os.open(self.root / path, flags), (path, b""))
        self.written(file, lambda: self.write(file, path, data, 0, data))

    def written(self, file, body):
        try:
            body()
        finally:
            os.close(file)

    def overwrite(self):
        path = self.any_file()
        old, data = self.model.files[path], self.content()
        offset = self.choose.randrange(len(old) + 1)
        file = os.open(self.root / path, os.O_WRONLY)
        final = old[:offset] + data + old[offset + len(data):]
        self.written(file, lambda: self.write(file, path, data, offset, final))

    def append(self):
        path, data = self.any_file(), self.content()
        if len(self.model.files[path]) > 2_000_000:
            return
        file = os.open(self.root / path, os.O_WRONLY | os.O_APPEND)
        old = self.model.files[path]
        self.written(file, lambda: self.write(file, path, data, len(old), old + data))

    def replace(self):
        path, data = self.any_file(), self.content()
        file = self.attempt(lambda: os.open(self.root / path, os.O_WRONLY | os.O_TRUNC), (path, b""))
        self.written(file, lambda: self.write(file, path, data, 0, data))

    def rename(self):
        old = self.any_file()
        new = self.any_file() if self.choose.random() < 0.5 else self.new_path()
        if new != old:
            content = self.model.files[old]
            self.attempt(lambda: os.rename(self.root / old, self.root / new), (new, content), (old, None))

    def delete(self):
        path = self.any_file()
        self.attempt(lambda: os.unlink(self.root / path), (path, None))

    def rename_folder(self):
        """To another name and back: two calls, each of them one step for everything inside."""
        folder = f"d{self.choose.randrange(FOLDERS)}"
        for old, new in ((folder, f"{folder}.moved"), (f"{folder}.moved", folder)):
            inside = {path: data for path, data in self.model.files.items() if path.startswith(f"{old}/")}
            states = [(new + path[len(old):], data) for path, data in inside.items()]
            states += [(path, None) for path in inside]
            self.attempt(lambda: os.rename(self.root / old, self.root / new), *states)

    # After a kill.

    def recover(self):
        """Compares the mount with the model, with either outcome for the call that was cut; adopts what is there."""
        for number in range(FOLDERS):
            moved = self.root / f"d{number}.moved"
            if moved.is_dir() and (self.root / f"d{number}").is_dir():
                # SeaweedFS lists a directory for a while after the last object in it was deleted.
                moved.rmdir()
            elif moved.is_dir():
                self.check()
                self.finish_folder(f"d{number}")
        self.check()

    def finish_folder(self, folder):
        old = f"{folder}.moved"
        os.rename(self.root / old, self.root / folder)
        for path in [path for path in self.model.files if path.startswith(f"{old}/")]:
            self.model.set(folder + path[len(old):], self.model.files.pop(path))

    def actual(self):
        found = {}
        for folder, _, files in os.walk(self.root):
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, self.root)] = file.read()
        return found

    def check(self):
        actual = self.actual()
        expected = dict(self.model.files)
        if self.pending:
            expected = self.outcome(actual, expected)
        faults = [describe(path, expected.get(path), actual.get(path))
                  for path in sorted(expected.keys() | actual.keys()) if expected.get(path) != actual.get(path)]
        assert not faults, f"after step {self.steps}: " + "; ".join(faults[:10])
        self.pending = {}
        self.model.files = {}
        for path, content in actual.items():
            self.model.set(path, content)

    def outcome(self, actual, before):
        """The state that must be there: the one before the cut call, or the one after; a lone write may be partial."""
        after = dict(before)
        for path, content in self.pending.items():
            if content is None:
                after.pop(path, None)
            else:
                after[path] = content
        if self.partial:
            (path, new), = self.pending.items()
            old, now = before[path], actual.get(path)
            if now is not None and is_between(old, new, now):
                return before | {path: now}
        touched = self.pending.keys()
        happened = all(actual.get(path) == after.get(path) for path in touched)
        return after if happened else before


def is_between(old, new, now):
    """Whether `now` is `old` with a part of the change to `new` made, from its beginning on."""
    if not min(len(old), len(new)) <= len(now) <= max(len(old), len(new)):
        return False
    cut = 0
    while cut < len(now) and cut < len(new) and now[cut] == new[cut]:
        cut += 1
    return now[cut:] == old[cut:len(now)]


def describe(path, expected, actual):
    def size(content):
        return "absent" if content is None else f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:8]}"
    return f"{path}: expected {size(expected)}, found {size(actual)}"


class Runner(threading.Thread):
    """Does steps until the mount dies; `trouble` is what went wrong before it was killed."""

    def __init__(self, workload):
        super().__init__(daemon=True)
        self.workload = workload
        self.killing = threading.Event()
        self.stopping = threading.Event()
        self.trouble = None

    def run(self):
        while not self.stopping.is_set():
            try:
                self.workload.step()
            except OSError as error:
                if not (self.killing.is_set() and error.errno in GONE):
                    self.trouble = error
                return
            except BaseException as error:
                self.trouble = error
                return

