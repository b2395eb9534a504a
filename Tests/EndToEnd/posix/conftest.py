"""Where these tests work: a mount of each kind of bucket that all tests of a process share, or the directory that
PAIL_POSIX_ON names, to see what the machine's own file systems make of the same expectations."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest

import buckets
import pail

GIVEN = os.environ.get("PAIL_POSIX_ON")
KINDS = ["given"] if GIVEN else os.environ.get("PAIL_TEST_BUCKETS", "local ministack").split()


@pytest.fixture(scope="session", params=KINDS)
def ground(request):
    if request.param == "given":
        yield Path(GIVEN)
        return
    if request.param != "local" and not buckets.endpoint(request.param):
        pytest.skip(f"no {request.param}: run by scripts/with-servers {request.param} -- ...")
    base = Path(tempfile.mkdtemp(prefix="pail-posix-"))
    base.chmod(0o755)
    bucket = buckets.make(request.param, base)
    mount = pail.Mount(bucket, base / "m", *(["--allow-other"] if pail.IS_ROOT else []))
    try:
        mount.mount()
        yield mount.path
        # What the tests did to it must not keep it from ending in order.
        mount.umount()
    finally:
        mount.end()
        bucket.remove()
        if not pail.is_mounted(mount.path):
            shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def directory(ground):
    """An empty directory of root's, gone after the test; the process works in it."""
    path = Path(tempfile.mkdtemp(prefix="t", dir=ground))
    path.chmod(0o755)
    before, mask = os.getcwd(), os.umask(0o022)
    os.chdir(path)
    yield path
    os.umask(mask)
    os.chdir(before)
    shutil.rmtree(path)
