"""What a mount costs beside time: memory, and the time until it answers."""
import time

from result import Row
from scenario import MIB, Scenario
from step import drop_page_cache, step


class Memory(Scenario):
    name = "memory"
    idle = Row("resident memory, idle", "MiB")
    reading = Row("resident memory, at most, 16 parallel cold reads", "MiB")
    first = Row("mount to the first ls answered, empty cache", "s")
    rows = (idle, reading, first)
    readers = 16

    def files(self):
        size = self.all.options.parallel * MIB
        return {f"part{number}": self.all.noise(f"part-of-{size}", size) for number in range(self.readers)}

    def run(self, contestant):
        step("ls", contestant.path)
        self.note(self.idle, contestant, contestant.resident_bytes() / MIB)
        if self.all.wants(self.reading):
            drop_page_cache()
            reads = " ".join(f"cat {contestant.path}/part{number} >/dev/null &" for number in range(self.readers))
            step("sh", "-c", f"{reads} wait")
            self.note(self.reading, contestant, contestant.resident_bytes(peak=True) / MIB)
        if self.all.wants(self.first):
            contestant.umount()
            drop_page_cache()
            self.note(self.first, contestant, self.seconds_to_first_listing(contestant))

    def seconds_to_first_listing(self, contestant):
        begin = time.monotonic()
        contestant.mount()
        step("ls", contestant.path)
        return time.monotonic() - begin
