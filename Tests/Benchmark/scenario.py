"""A piece of the benchmark that gives some rows; what all such pieces share."""
import random
import re
import tempfile
from pathlib import Path

import raw
from server import new_bucket, remove_bucket
from step import step

MIB = 1 << 20
GIB = 1 << 30


class Scenario:
    """`run` is given a mounted contestant with an empty cache, on a bucket of its own or on one with `files`."""

    name = ""
    rows = ()
    # Names of those that take part beside the mounts: "disk", "raw".
    beside = ()
    # Left out unless a pattern is given: too long, or too large.
    on_demand = False

    def __init__(self, surroundings):
        self.all = surroundings

    def files(self):
        """Key to path: what is in the bucket. None: nothing, and the bucket is the contestant's own."""
        return None

    def bucket(self, kind):
        """The bucket that all contestants of this kind share; None if each has its own."""
        files = self.files()
        return self.all.bucket_with(files, kind) if files else None

    def run(self, contestant):
        raise NotImplementedError

    def raw(self, bucket):
        """The same without a mount."""
        raise NotImplementedError

    def note(self, row, contestant, value):
        name = contestant if isinstance(contestant, str) else contestant.name
        if self.all.wants(row):
            self.all.results.note(row, name, value)


class Surroundings:
    """Options, a place on the cache's file system, files of noise, and buckets that are filled once for all."""

    def __init__(self, place, options, results):
        self.place, self.options, self.results = place, options, results
        self.filled = {}

    def wants(self, *rows):
        return any(re.search(self.options.rows, row.name) for row in rows)

    def base(self):
        return Path(tempfile.mkdtemp(dir=self.place))

    def noise(self, name, size):
        """A file of noise, made once."""
        path = self.place / name
        if not path.exists():
            generator = random.Random(name)
            with open(path, "wb") as file:
                for offset in range(0, size, MIB):
                    file.write(generator.randbytes(min(MIB, size - offset)))
        return path

    def bucket_with(self, files, kind):
        """A bucket that holds these files, the same for all that show plain objects."""
        key = (tuple(sorted(files)), kind.plain_objects or kind.name)
        if key not in self.filled:
            bucket = self.filled[key] = new_bucket()
            if kind.plain_objects:
                for name, source in files.items():
                    raw.upload(bucket, name, source)
            else:
                self.write_through(kind, bucket, files)
        return self.filled[key]

    def write_through(self, kind, bucket, files):
        contestant = kind(bucket, self.base() / "mount")
        try:
            contestant.prepare()
            contestant.mount()
            for name, source in files.items():
                step("cp", source, contestant.path / name)
            contestant.drain(len(files), sum(source.stat().st_size for source in files.values()))
            contestant.umount()
        finally:
            contestant.end()

    def close(self):
        for bucket in self.filled.values():
            remove_bucket(bucket)
