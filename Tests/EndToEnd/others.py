"""Other programs that mount or copy buckets, to see what they make of ours and we of theirs."""
import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from buckets import REGION
from pail import detach, environment, is_mounted, run, wait_until

# Installed for the servers of the tests.
RCLONE = Path(__file__).resolve().parents[2] / ".build/venv-rclone/bin/rclone"


@contextlib.contextmanager
def s3fs(bucket, base, *options):
    """The bucket mounted by s3fs; unmounted, so that everything is in the bucket, at the end."""
    directory = Path(base) / "s3fs"
    directory.mkdir(parents=True)
    keys = Path(base) / "s3fs-keys"
    keys.touch(mode=0o600)
    keys.write_text(":".join(bucket.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")))
    process = subprocess.Popen(
        ["s3fs", bucket.name, directory, "-f", "-o", f"passwd_file={keys},url={bucket.endpoint},endpoint={REGION}",
         "-o", "use_path_request_style,use_xattr,stat_cache_expire=1", *options],
        env=environment(base), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_mounted(directory) or process.poll() is not None, 20, "s3fs")
        assert process.poll() is None, "s3fs ended"
        yield directory
        run("umount", directory)
        process.wait(timeout=30)
    finally:
        detach(directory)
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)
        keys.unlink()


def rclone(bucket, *arguments):
    """Runs rclone, which knows the bucket as `bucket:NAME`."""
    remote = {
        "TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": bucket.endpoint, "REGION": REGION,
        "ACCESS_KEY_ID": bucket.environment["AWS_ACCESS_KEY_ID"],
        "SECRET_ACCESS_KEY": bucket.environment["AWS_SECRET_ACCESS_KEY"],
    }
    settings = {f"RCLONE_CONFIG_BUCKET_{name}": value for name, value in remote.items()}
    return run(
        RCLONE, *arguments, env=os.environ | settings | {"RCLONE_CONFIG": "/dev/null"})
