"""A piece of the benchmark that gives some rows; what all such pieces share."""
import os
import random
import re
import tempfile
import urllib.request
from pathlib import Path

import buckets
import raw
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

    def run(self, contestant):
        raise NotImplementedError

    def raw(self, bucket):
        """The same without a mount; a number for each row it notes."""

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


def new_bucket():
    return buckets.make("seaweedfs", None)


def remove_bucket(bucket):
    """At one stroke: ten thousand deletions take longer than what is measured."""
    request = urllib.request.Request(
        f"{os.environ['PAIL_TEST_SEAWEEDFS_FILER']}/buckets/{bucket.name}?recursive=true", method="DELETE")
    try:
        urllib.request.urlopen(request, timeout=120).read()
    except OSError:
        bucket.remove()
