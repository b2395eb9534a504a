"""The other mounts, each with the options that its makers advise for an object store, caches on the same disk."""
import os
import urllib.parse
from pathlib import Path

from contestant import Peer
from step import Failed, step, timed, until


class Rclone(Peer):
    name = "rclone"

    @staticmethod
    def settings(bucket):
        return {
            "RCLONE_CONFIG_B_TYPE": "s3", "RCLONE_CONFIG_B_PROVIDER": "Other", "RCLONE_CONFIG_B_ENV_AUTH": "true",
            "RCLONE_CONFIG_B_ENDPOINT": bucket.endpoint, "RCLONE_CONFIG_B_REGION": "us-east-1",
            "RCLONE_CONFIG": "/dev/null",
        }

    @classmethod
    def copy(cls, bucket, source):
        """Seconds that `rclone copy` takes to bring a file up."""
        return timed("rclone", "copy", source, f"b:{bucket.name}/copied", "--s3-upload-concurrency", "8",
                     "--s3-chunk-size", "16M", environment=os.environ | bucket.environment | cls.settings(bucket))

    def command(self):
        self.environment |= self.settings(self.bucket)
        # Uploads begin at the close, as many at a time as Pail's. Several streams to a file make reading in order half
        # as fast again, and reading at random hopeless.
        streams = [] if self.reads_at_random else ["--vfs-read-chunk-size", "8M", "--vfs-read-chunk-streams", "8"]
        return ["rclone", "mount", f"b:{self.bucket.name}", self.path, "--vfs-cache-mode", "full", "--cache-dir",
                self.cache, "--vfs-write-back", "0s", "--transfers", "16", "--vfs-fast-fingerprint", *streams,
                "--log-level", "ERROR"]


class S3fs(Peer):
    name = "s3fs"

    def command(self):
        return ["s3fs", self.bucket.name, self.path, "-f", "-o", f"url={self.bucket.endpoint},use_path_request_style",
                "-o", f"use_cache={self.cache},parallel_count=20,multireq_max=100,max_stat_cache_size=1000000",
                "-o", "endpoint=us-east-1"]


class WeedMount(Peer):
    """Not through S3: on the filer and the volumes of the same SeaweedFS, where a bucket is a directory."""
    name = "weed"
    speaks_s3 = False

    def command(self):
        filer = urllib.parse.urlsplit(os.environ["PAIL_TEST_SEAWEEDFS_FILER"]).netloc
        return ["weed", "mount", f"-filer={filer}", f"-filer.path=/buckets/{self.bucket.name}", f"-dir={self.path}",
                f"-cacheDir={self.cache}", "-cacheCapacityMB=20480", "-cacheMetaTtlSec=600"]


class JuiceFS(Peer):
    """Cuts files into blocks: no object is a file. SQLite on the cache's disk holds the names."""
    name = "juicefs"
    plain_objects = False

    def __init__(self, bucket, base):
        super().__init__(bucket, base)
        # With the bucket, not with the mount: the next mount of the bucket finds its files.
        self.metadata = f"sqlite3://{self.base.parent.parent}/{bucket.name}.db"

    def prepare(self):
        keys = [self.bucket.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
        step("juicefs", "format", "--storage", "s3", "--bucket", f"{self.bucket.endpoint}/{self.bucket.name}",
             "--trash-days", "0", self.metadata, "bench", seconds=60,
             environment=self.environment | {"ACCESS_KEY": keys[0], "SECRET_KEY": keys[1]})

    def command(self):
        return ["juicefs", "mount", self.metadata, self.path, "--cache-dir", self.cache, "--cache-size", "20480",
                "--free-space-ratio", "0.02", "--writeback", "--no-usage-report", "--no-syslog", "--backup-meta", "0",
                "--attr-cache", "60", "--entry-cache", "60", "--dir-entry-cache", "60", "--open-cache", "60",
                "--cache-large-write", "--metrics", "127.0.0.1:0"]

    def drain(self, count, size):
        """Blocks wait in `rawstaging` until they are in the bucket."""
        def staged():
            return any(files for folder, _, files in os.walk(self.cache) if "/rawstaging" in folder)
        until(lambda: not staged(), "everything in the bucket", pause=0.1)
        if not self.bucket.keys():
            raise Failed("juicefs has put nothing into the bucket")


class PassthroughLL(Peer):
    """libfuse's example in C, before a directory: no peer, but what any daemon between kernel and disk costs."""
    name = "passthrough_ll"
    has_bucket = False
    source = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")

    def command(self):
        program, behind = self.base / "passthrough_ll", self.behind
        behind.mkdir(exist_ok=True)
        if not program.exists():
            flags = step("pkg-config", "--cflags", "--libs", "fuse3", shows=True).split()
            step("gcc", "-O2", "-w", "-o", program, self.source, *flags)
        return [program, "-f", "-o", f"source={behind},cache=always,timeout=3600", self.path]

    @property
    def behind(self):
        return self.base / "behind"

    def clear(self):
        pass

    def drain(self, count, size):
        pass
