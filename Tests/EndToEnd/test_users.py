"""As an ordinary user, and from fstab."""
import os
import shutil
import stat
import subprocess
import time

import pytest

from buckets import LocalBucket
from pail import PAIL, is_mounted, run, wait_until

NOBODY = 65534


@pytest.fixture
def fuse_for_all(place):
    """As udev makes it everywhere: a device that every user may open."""
    if os.stat("/dev/fuse").st_mode & 0o666 == 0o666:
        yield
        return
    device = place / "fuse"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(10, 229))
    device.chmod(0o666)
    run("mount", "--bind", device, "/dev/fuse")
    yield
    run("umount", "-l", "/dev/fuse")


@pytest.mark.root
def test_ordinary_user(mounts, place, fuse_for_all):
    program = place / "pail"
    shutil.copy(PAIL, program)
    program.chmod(0o755)
    bucket = LocalBucket(place / "theirs/bucket")
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    mount = mounts(bucket, mount=False, prefix=prefix)
    for path in (place / "theirs", mount.base):
        run("chown", "-R", f"{NOBODY}:{NOBODY}", path)
    mount.command = lambda *arguments, **options: run(
        *prefix, program, *arguments, **{"env": mount.environment} | options)
    mount.mount()
    assert mount.status()["passthrough"] == "off"
    shell = ["sh", "-c", f"echo hello > {mount.path}/a && cat {mount.path}/a && stat -c %u {mount.path}/a"]
    assert run(*prefix, *shell).stdout == f"hello\n{NOBODY}\n"
    mount.kill_daemon()
    assert run(*prefix, "cat", f"{mount.path}/a").stdout == "hello\n"
    denied = run("ls", mount.path, check=False)
    assert denied.returncode != 0, "root could look into another user's mount without allow_other"
    mount.umount()
    assert bucket.get("a") == b"hello\n"
    assert (bucket.directory / "a").stat().st_uid == NOBODY


@pytest.fixture
def mount_helper():
    helper = "/sbin/mount.pail"
    if os.path.lexists(helper) and os.path.realpath(helper) != str(PAIL.resolve()):
        pytest.skip(f"{helper} is there already")
    made = not os.path.lexists(helper)
    if made:
        os.symlink(PAIL.resolve(), helper)
    yield
    if made:
        os.unlink(helper)


@pytest.mark.root
def test_fstab_line(mounts, place, mount_helper):
    """In a private mount namespace, so that the system's fstab stays as it is."""
    bucket = LocalBucket(place / "bucket")
    mount = mounts(bucket, mount=False)
    bucket.put("there", b"x")
    config = place / "mount.yaml"
    config.write_text(f"uploadDelay: 100ms\ncache:\n  directory: {mount.cache}\n")
    fstab = place / "fstab"
    fstab.write_text(f"{bucket.address} {mount.path} pail _netdev,noatime,config={config} 0 0\n")
    script = (
        f"mount --bind {fstab} /etc/fstab && mount {mount.path} && cat {mount.path}/there && "
        f"echo new > {mount.path}/new && grep ' {mount.path} ' /proc/mounts && umount {mount.path}")
    result = run("unshare", "-m", "--propagation", "private", "sh", "-c", script, env=mount.environment)
    assert result.stdout.startswith("x") and "pail" in result.stdout
    wait_until(lambda: (bucket.directory / "new").exists(), 20, "the upload")
    assert bucket.get("new") == b"new\n"
    assert not is_mounted(mount.path)


@pytest.mark.root
def test_fstab_line_that_fails(mounts, place, mount_helper):
    mount = mounts(LocalBucket(place / "bucket"), mount=False)
    command = ["mount", "-t", "pail", f"file://{place}/missing", mount.path, "-o", f"cache_dir={mount.cache}"]
    result = run(*command, check=False, env=mount.environment)
    assert result.returncode != 0 and "missing" in result.stderr
    assert not is_mounted(mount.path)


@pytest.mark.root
def test_umount_ends_it_in_copied_namespaces_too(mount, bucket):
    """A container that was started meanwhile has the mount as well and would hold it for as long as it runs."""
    with subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 60"],
            stdout=subprocess.PIPE, text=True) as container:
        try:
            assert container.stdout.readline() == "ready\n"
            (mount.path / "a").write_bytes(b"x")
            begin = time.monotonic()
            mount.umount("--timeout", "30", timeout=40)
            assert time.monotonic() - begin < 20
        finally:
            container.kill()
    assert bucket.get("a") == b"x"
