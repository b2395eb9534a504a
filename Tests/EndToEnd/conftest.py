"""Fixtures: buckets of each kind, mounts that end with the test, and a watchdog that names what hangs."""
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest

import buckets
import pail
from proxy import Proxy

DEFAULT_KINDS = ("local", "ministack")
# Daemons are killed this long before the test's own time is over, so that a stuck system call ends with an error and
# the test with a trace, rather than with its process.
WATCHDOG_MARGIN_SECONDS = 15


def pytest_generate_tests(metafunc):
    if "bucket" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("on")
        kinds = os.environ.get("PAIL_TEST_BUCKETS", "").split() or (marker.args if marker else DEFAULT_KINDS)
        metafunc.parametrize("bucket", kinds, indirect=True)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root") and not pail.IS_ROOT:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_sessionstart(session):
    if not pail.PAIL.exists():
        pytest.exit(f"{pail.PAIL} is missing: swift build -c release, or name another with PAIL=", returncode=3)


@pytest.fixture
def place():
    """A directory that other users may go through, gone after the test with all that is mounted in it."""
    directory = Path(tempfile.mkdtemp(prefix="pail-e2e-"))
    directory.chmod(0o755)
    yield directory
    with open("/proc/self/mountinfo") as table:
        mounted = [line.split()[4] for line in table]
    for path in sorted((path for path in mounted if path.startswith(f"{directory}/")), reverse=True):
        pail.detach(path)
    # Never into a mount that could not be taken away.
    with open("/proc/self/mountinfo") as table:
        if not any(line.split()[4].startswith(f"{directory}/") for line in table):
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def bucket(request, place):
    kind = request.param
    if kind != "local" and not buckets.endpoint(kind):
        pytest.skip(f"no {kind}: run by scripts/with-servers {kind} -- ...")
    bucket = buckets.make(kind, place)
    yield bucket
    bucket.remove()


@pytest.fixture
def mounts(request, place):
    """Makes mounts: `mounts(bucket, "--read-only")`; each has its own cache directory and mount point."""
    made = []

    def make(bucket, *options, mount=True, **more):
        new = pail.Mount(bucket, place / f"m{len(made)}", *options, **more)
        made.append(new)
        if mount:
            new.mount()
        return new

    limit = request.node.get_closest_marker("timeout")
    seconds = limit.args[0] if limit and limit.args else float(request.config.getini("timeout"))
    watchdog = threading.Timer(
        max(seconds - WATCHDOG_MARGIN_SECONDS, 10), bite, (request.node.nodeid, made, time.monotonic()))
    watchdog.daemon = True
    watchdog.start()
    request.node.made_mounts = made
    yield make
    for mount in made:
        mount.end()
    watchdog.cancel()


def bite(name, made, begin):
    os.write(2, f"\nwatchdog: {name} hangs after {time.monotonic() - begin:.0f} s: killing its mounts\n".encode())
    for mount in made:
        mount.end()


@pytest.fixture
def mount(mounts, bucket):
    return mounts(bucket)


@pytest.fixture
def directory(mount):
    """The mounted directory itself."""
    return mount.path


@pytest.fixture
def proxy(bucket):
    """Between the mount and the server: `proxied` is the bucket through it."""
    proxy = Proxy(bucket.endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(bucket, proxy):
    return bucket.through(proxy.endpoint)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for number, mount in enumerate(getattr(item, "made_mounts", [])):
            report.sections.append((f"mount {number}", mount.describe()))
