"""What a mount costs beside time: memory, and the time until it answers."""
import threading
import time

from result import Row
from scenario import MIB, Scenario
from server import new_bucket, put_empty_files
from step import Failed, drop_page_cache, step, work

SETTLE_SECONDS = 1


class PeakMemory:
    """Looks at a contestant's memory ten times a second while its block runs."""

    def __init__(self, contestant):
        self.contestant, self.bytes, self.is_over = contestant, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.is_over.wait(0.1):
            self.bytes = max(self.bytes, self.contestant.resident_bytes())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        self.bytes = max(self.bytes, self.contestant.resident_bytes())


def seconds_to_first_listing(contestant):
    """From the mount command's start to the end of an `ls`."""
    begin = time.monotonic()
    contestant.mount()
    step("ls", contestant.path)
    return time.monotonic() - begin


class Memory(Scenario):
    name = "memory and start"
    idle = Row("resident memory, idle", "MiB")
    reading = Row("resident memory, at most, during 16 parallel cold reads", "MiB")
    first = Row("mount to the first ls answered, empty cache", "s")
    rows = (idle, reading, first)
    readers = 16

    def files(self):
        size = self.all.options.parallel * MIB
        source = self.all.noise(f"part-of-{size}", size)
        return {f"part{number}": source for number in range(self.readers)}

    def run(self, contestant):
        step("ls", contestant.path)
        time.sleep(SETTLE_SECONDS)
        self.note(self.idle, contestant, contestant.resident_bytes() / MIB)
        if self.all.wants(self.reading):
            drop_page_cache()
            reads = " ".join(f"cat {contestant.path}/part{number} >/dev/null &" for number in range(self.readers))
            with PeakMemory(contestant) as peak:
                step("sh", "-c", f"{reads} wait")
            self.note(self.reading, contestant, peak.bytes / MIB)
        if self.all.wants(self.first):
            contestant.umount()
            contestant.clear()
            drop_page_cache()
            self.note(self.first, contestant, seconds_to_first_listing(contestant))


class ManyNodes(Scenario):
    """A bucket with a million files, in a hundred directories."""
    name = "a million files"
    on_demand = True
    first = Row("mount to the first ls answered, a million files, empty cache", "s")
    known = Row("resident memory after stat of a million files", "MiB")
    pace = Row("stat of a million files, cold", "1/s", "", True)
    again = Row("mount to the first ls answered, a million nodes in the cache", "s")
    rows = (first, known, pace, again)
    directories = 100
    most_seconds = 2400

    def bucket(self, kind):
        if not kind.plain_objects:
            raise Failed("left out: to fill it takes longer than an hour")
        if self.name not in self.all.filled:
            self.all.filled[self.name] = bucket = new_bucket()
            put_empty_files(bucket, self.directories, self.all.options.nodes // self.directories)
        return self.all.filled[self.name]

    def run(self, contestant):
        contestant.umount()
        contestant.clear()
        drop_page_cache()
        self.note(self.first, contestant, seconds_to_first_listing(contestant))
        begin = time.monotonic()
        for number in range(self.directories):
            work("stat", contestant.path / f"folder{number}")
            if time.monotonic() - begin > self.most_seconds:
                raise Failed(f"stat of {number + 1} of {self.directories} directories took {self.most_seconds} s")
        self.note(self.pace, contestant, self.all.options.nodes / (time.monotonic() - begin))
        self.note(self.known, contestant, contestant.resident_bytes() / MIB)
        contestant.umount()
        drop_page_cache()
        self.note(self.again, contestant, seconds_to_first_listing(contestant))
