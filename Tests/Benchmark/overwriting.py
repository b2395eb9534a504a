"""A small change in a large object: how long, and how much is sent for it."""
import time

import raw
from proxy import Proxy
from result import Row
from scenario import MIB, Scenario
from step import step, until


class Overwriting(Scenario):
    name = "overwriting"
    seconds = Row("overwrite 4 KiB in a large object, until in the bucket", "s")
    sent = Row("overwrite 4 KiB in a large object, sent for it", "MiB")
    rows = (seconds, sent)

    def run(self, contestant):
        if not contestant.speaks_s3 or not contestant.plain_objects:
            return
        bucket = contestant.bucket
        raw.upload(bucket, "large", self.all.noise("large", self.all.options.size * MIB))
        proxy = Proxy(bucket.endpoint)
        try:
            contestant.umount()
            contestant.clear()
            contestant.bucket = bucket.through(proxy.endpoint)
            contestant.mount()
            self.overwrite(contestant, bucket, proxy)
        finally:
            proxy.close()

    def overwrite(self, contestant, bucket, proxy):
        def etag():
            return bucket.client.head_object(Bucket=bucket.name, Key="large")["ETag"]

        old, before, begin = etag(), proxy.sent, time.monotonic()
        step("dd", "if=/dev/urandom", f"of={contestant.path}/large", "bs=4096", "count=1", "seek=12345", "conv=notrunc",
             "status=none")
        contestant.hurry()
        until(lambda: etag() != old, "the change in the bucket", pause=0.1)
        self.note(self.seconds, contestant, time.monotonic() - begin)
        self.note(self.sent, contestant, (proxy.sent - before) / MIB)
