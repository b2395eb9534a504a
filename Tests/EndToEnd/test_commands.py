"""The commands: what they say, what they exit with, what they leave behind."""
import json
import os
import re
import signal
import subprocess

import pytest

from buckets import LocalBucket
from pail import PAIL, environment, find_daemons, is_alive, is_mounted, kill_all, run, wait_until

OK, FAILED, USAGE, INCOMPLETE, MOUNT_POINT, BUCKET, CACHE = range(7)


def assert_one_line(result, *patterns):
    """One line on stderr that begins with the program's name and says each of these."""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("pail: "), result.stderr
    for pattern in patterns:
        assert re.search(pattern, lines[0], re.I), f"{pattern!r} is not in: {lines[0]}"


def test_version_and_help(place):
    env = environment(place)
    assert re.fullmatch(r"pail \d+\.\d+\.\d+\S*\n", run(PAIL, "version", env=env).stdout)
    overview = run(PAIL, "--help", env=env).stdout
    for command in ("mount", "umount", "flush", "status", "doctor", "version"):
        assert f"pail {command}" in overview
        assert run(PAIL, command, "--help", env=env).stdout == run(PAIL, "help", command, env=env).stdout
    assert "Exit codes" in overview
    unknown = run(PAIL, "mont", env=env, check=False)
    assert unknown.returncode == USAGE
    assert_one_line(unknown, "mont", "mount")


def test_status(mount):
    (mount.path / "a").write_bytes(b"x" * 10_000)
    mount.flush()
    text = mount.command("status").stdout
    assert str(mount.path) in text and mount.bucket.address in text
    report = mount.status()
    assert report["mountPoint"] == str(mount.path) and is_alive(report["pid"])
    assert all(isinstance(value, (str, int)) for value in report.values())


@pytest.mark.on("local")
def test_status_after_a_death_that_nobody_waited_for(mounts, bucket):
    """A daemon that is a zombie is no daemon: what comes after it stands alone in the list."""
    mount = mounts(bucket, mount=False)
    arguments = ["mount", "-f", bucket.address, mount.path, "--cache-dir", mount.cache]
    first = subprocess.Popen([PAIL, *map(str, arguments)], stdin=subprocess.DEVNULL, env=mount.environment)
    try:
        # Not status() itself: it wants a mount.
        wait_until(lambda: mount.command("status", mount.path, check=False).returncode == OK, 20, "the mount")
        kill_all(mount.cache)
        wait_until(lambda: not is_alive(first.pid), 20, "the first daemon's death")
        mount.mount()
        reports = json.loads(mount.command("status", "--json").stdout)
        pids = [report["pid"] for report in reports if report["mountPoint"] == str(mount.path)]
        assert pids == [mount.process] and mount.process != first.pid
    finally:
        kill_all(mount.cache)
        first.wait(timeout=20)


def test_nothing_is_mounted(place):
    env = environment(place)
    result = run(PAIL, "status", env=env)
    assert "nothing is mounted" in result.stdout or "mountPoint" in result.stdout
    for command in ("umount", "flush"):
        result = run(PAIL, command, place, env=env, check=False)
        assert result.returncode == MOUNT_POINT
        assert_one_line(result, re.escape(str(place)))


def test_umount_waits_for_the_bucket(mounts, bucket):
    mount = mounts(bucket, "--upload-delay", "1m")
    for number in range(50):
        (mount.path / f"f{number}").write_bytes(b"x" * 1000)
    process = mount.process
    mount.umount()
    assert len(bucket.keys()) == 50
    assert not is_alive(process)
    assert os.listdir(mount.path) == []


def test_flush_of_one_file(mounts, bucket):
    mount = mounts(bucket, "--upload-delay", "1m")
    (mount.path / "now").write_text("now")
    mount.flush(mount.path / "now")
    assert bucket.get("now") == b"now"


def test_flush_beside_a_removed_open_file(mounts, bucket):
    """Its object stays as long as it is read from there, and nobody waits for that."""
    content = os.urandom(4 << 20)
    bucket.put("read", content)
    mount = mounts(bucket)
    with open(mount.path / "read", "rb") as file:
        os.unlink(mount.path / "read")
        (mount.path / "other").write_text("other")
        mount.flush(timeout=30)
        assert bucket.get("other") == b"other"
        assert file.read() == content
    wait_until(lambda: list(bucket.keys()) == ["other"], 20, "the end of its object")


def test_busy_mount_stays(mount):
    with open(mount.path / "a", "w") as file:
        file.write("x")
        result = mount.umount("--timeout", "3", check=False)
        assert result.returncode in (INCOMPLETE, MOUNT_POINT)
        assert_one_line(result)
        assert is_mounted(mount.path)
    mount.umount()


@pytest.mark.on("local")
def test_plain_umount(mount, bucket):
    (mount.path / "a").write_text("x")
    process = mount.process
    run("umount" if os.geteuid() == 0 else "fusermount3", *([] if os.geteuid() == 0 else ["-u"]), mount.path)
    wait_until(lambda: not is_alive(process), 30, "the daemon's end")
    assert bucket.get("a") == b"x"
    mount.mount()
    assert (mount.path / "a").read_text() == "x"


@pytest.mark.on("local")
def test_foreground(mounts, bucket):
    mount = mounts(bucket, mount=False)
    arguments = ["mount", "-f", bucket.address, mount.path, "--cache-dir", mount.cache]
    daemon = subprocess.Popen(
        [PAIL, *map(str, arguments)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=mount.environment)
    try:
        wait_until(lambda: is_mounted(mount.path), 20, "the mount")
        (mount.path / "a").write_text("x")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=30) == OK
        assert not is_mounted(mount.path)
        assert bucket.get("a") == b"x"
    finally:
        kill_all(mount.cache)
        daemon.communicate(timeout=20)


@pytest.mark.on("local", "ministack", "rclone")
def test_doctor(mounts, bucket):
    mount = mounts(bucket, mount=False)
    result = mount.command("doctor", bucket.address, *bucket.options, "--cache-dir", mount.cache, check=False)
    lines = result.stdout.splitlines()
    assert result.returncode == OK, result.stdout + result.stderr
    assert len(lines) >= 4 and all(re.match(r"\s*(ok|warn|fail|info)\b", line) for line in lines), result.stdout
    assert "/dev/fuse" in result.stdout
    if bucket.kind == "rclone":
        assert any(line.lstrip().startswith("warn") for line in lines), result.stdout
    assert bucket.keys() == {}


@pytest.mark.on("ministack")
def test_doctor_finds_wrong_credentials(mounts, bucket):
    mount = mounts(bucket, mount=False)
    mount.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    result = mount.command("doctor", bucket.address, *bucket.options, "--cache-dir", mount.cache, check=False)
    assert result.returncode == FAILED
    assert any(line.lstrip().startswith("fail") for line in result.stdout.splitlines()), result.stdout
    assert "wrong" not in result.stdout


# Bad input: each case gives what to change of a mount that would work, and what the error must say.


def refuse(mount, arguments, code, *patterns):
    result = mount.command("mount", *arguments, check=False, timeout=90)
    assert result.returncode == code, f"exit code {result.returncode}: {result.stderr}"
    assert_one_line(result, *patterns)
    assert result.stdout == ""
    assert not is_mounted(mount.path)
    wait_until(lambda: not find_daemons(mount.cache), 10, "the end of the daemon")


BAD_ARGUMENTS = {
    "unknown option": (["--no-such-option"], USAGE, ["no-such-option"]),
    "unknown -o": (["-o", "no_such_option"], USAGE, ["no_such_option"]),
    "mistyped": (["--cache-limits", "1GiB"], USAGE, ["did you mean", "cache-limit"]),
    "bad size": (["--cache-limit", "lots"], USAGE, ["lots", "size"]),
    "bad time": (["--refresh", "soon"], USAGE, ["soon"]),
    "missing config": (["--config", "/nonexistent.yaml"], USAGE, ["/nonexistent.yaml"]),
    "bad endpoint": (["--endpoint", "nonsense"], USAGE, ["nonsense"]),
    "password in address": (["--endpoint", "http://user:secret@host"], USAGE, ["password"]),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments(mounts, place, case):
    more, code, patterns = BAD_ARGUMENTS[case]
    mount = mounts(LocalBucket(place / "bucket"), mount=False)
    refuse(mount, [mount.bucket.address, mount.path, "--cache-dir", mount.cache, *more], code, *patterns)


@pytest.mark.parametrize("address", ["", "s3://", "s3:bucket", "ftp://host/x", "bucket", "https://host/bucket"])
def test_malformed_addresses(mounts, place, address):
    mount = mounts(LocalBucket(place / "bucket"), mount=False)
    refuse(mount, [address, mount.path, "--cache-dir", mount.cache], USAGE)


def test_bad_mount_points(mounts, place):
    bucket = LocalBucket(place / "bucket")
    mount = mounts(bucket, mount=False)
    base = [bucket.address, mount.path, "--cache-dir", mount.cache]
    (mount.path / "something").write_text("x")
    refuse(mount, base, MOUNT_POINT, "not empty", "something")
    (mount.path / "something").unlink()
    file = place / "file"
    file.write_text("x")
    refuse(mount, [bucket.address, file, *base[2:]], MOUNT_POINT, "not a directory")
    refuse(mount, [bucket.address, place / "missing", *base[2:]], MOUNT_POINT, "mkdir")
    refuse(mount, [bucket.address, bucket.directory, *base[2:]], MOUNT_POINT, "lie in")
    mount.mount()
    again = mounts(LocalBucket(place / "other"), mount=False)
    result = again.command("mount", again.bucket.address, mount.path, "--cache-dir", again.cache, check=False)
    assert result.returncode == MOUNT_POINT
    assert_one_line(result, "mount point already")


def test_bad_buckets(mounts, place):
    missing = LocalBucket(place / "bucket")
    missing.directory.rmdir()
    mount = mounts(missing, mount=False)
    refuse(mount, [missing.address, mount.path, "--cache-dir", mount.cache], BUCKET, "bucket")


@pytest.mark.on("ministack", "seaweedfs")
def test_bad_s3_buckets(mounts, bucket):
    mount = mounts(bucket, mount=False)
    end = [mount.path, "--cache-dir", mount.cache, *bucket.options]
    refuse(mount, ["s3://no-such-bucket-of-ours", *end], BUCKET, "no-such-bucket-of-ours")
    secret = mount.environment["AWS_SECRET_ACCESS_KEY"]
    mount.environment["AWS_SECRET_ACCESS_KEY"] = "wrong-secret-0123456789"
    refuse(mount, [bucket.address, *end], BUCKET, "credentials|signature|denied|key")
    mount.environment["AWS_SECRET_ACCESS_KEY"] = secret
    mount.environment.pop("AWS_ACCESS_KEY_ID")
    refuse(mount, [bucket.address, *end], BUCKET, "credentials")


def test_unreachable_endpoint(mounts, place):
    mount = mounts(LocalBucket(place / "unused"), mount=False, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    end = ["s3://bucket", mount.path, "--cache-dir", mount.cache, "--endpoint"]
    refuse(mount, [*end, "http://127.0.0.1:9"], BUCKET, "127.0.0.1")
    refuse(mount, [*end, "http://name.invalid"], BUCKET, "name.invalid")


@pytest.mark.on("ministack")
def test_a_failed_mount_claims_no_cache(mounts, bucket):
    """After a mistyped endpoint or bucket, the same cache directory takes the right one, and from then on no other."""
    mount = mounts(bucket, mount=False)
    end = [mount.path, "--cache-dir", mount.cache]
    refuse(mount, [bucket.address, *end, "--endpoint", "http://127.0.0.1:9"], BUCKET, "127.0.0.1")
    refuse(mount, ["s3://no-such-bucket-of-ours", *end, *bucket.options], BUCKET, "no-such-bucket-of-ours")
    mount.mount()
    mount.umount()
    refuse(mount, ["s3://no-such-bucket-of-ours", *end, *bucket.options], CACHE, "is that of")


@pytest.mark.on("ministack")
def test_another_endpoint_is_another_bucket(mounts, bucket):
    """Also when it is the environment that names it."""
    mount = mounts(bucket)
    mount.umount()
    endpoint = bucket.options.index("--endpoint")
    options = [*bucket.options[:endpoint], *bucket.options[endpoint + 2:]]
    arguments = [bucket.address, mount.path, "--cache-dir", mount.cache, *options]
    mount.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    refuse(mount, arguments, CACHE, "is that of")
    mount.environment["AWS_ENDPOINT_URL"] = bucket.endpoint
    assert mount.command("mount", *arguments).returncode == OK


def test_bad_password_file(mounts, place):
    mount = mounts(LocalBucket(place / "unused"), mount=False)
    password = place / "password"
    password.write_text("KEY:SECRETSECRET\n")
    password.chmod(0o644)
    arguments = ["s3://bucket", mount.path, "--cache-dir", mount.cache, "--password-file", password]
    result = mount.command("mount", *arguments, "--endpoint", "http://127.0.0.1:9", check=False)
    assert result.returncode != OK
    assert_one_line(result, "0600|chmod 600", re.escape(str(password)))
    assert "SECRETSECRET" not in result.stderr


def test_cache_of_another(mounts, place):
    bucket = LocalBucket(place / "bucket")
    first = mounts(bucket)
    second = mounts(bucket, mount=False)
    result = second.command("mount", bucket.address, second.path, "--cache-dir", first.cache, check=False)
    assert result.returncode == CACHE
    assert_one_line(result, "in use|another", re.escape(str(first.cache)))
    first.umount()
    other = LocalBucket(place / "other")
    result = second.command("mount", other.address, second.path, "--cache-dir", first.cache, check=False)
    assert result.returncode == CACHE
    assert_one_line(result, "--cache-dir")
    (place / "stranger").mkdir()
    (place / "stranger/file").write_text("mine")
    result = second.command("mount", bucket.address, second.path, "--cache-dir", place / "stranger", check=False)
    assert result.returncode == CACHE
    assert_one_line(result, "other things")


BAD_FILES = {
    "unknown key": ("bucket: {bucket}\nbuckett: x\n", ":2:1:", "buckett"),
    "bad value": ("bucket: {bucket}\ncache:\n  limit: lots\n", ":3:10:", "lots"),
    "bad yaml": ("bucket: [\n", ":", ""),
    "twice": ("bucket: {bucket}\nbucket: {bucket}\n", ":2:1:", "bucket"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_configuration_files(mounts, place, case):
    text, location, pattern = BAD_FILES[case]
    mount = mounts(LocalBucket(place / "bucket"), mount=False)
    file = place / "mount.yaml"
    file.write_text(text.format(bucket=mount.bucket.address))
    refuse(mount, ["--config", file, mount.path, "--cache-dir", mount.cache], USAGE, f"{file}{location}", pattern)


def test_secrets_stay_out_of_sight(mounts, place):
    """Not in arguments, the mount table, the log, the cache directory."""
    bucket = LocalBucket(place / "bucket")
    mount = mounts(bucket, AWS_ACCESS_KEY_ID="AKSECRETKEYID", AWS_SECRET_ACCESS_KEY="very-secret-indeed")
    (mount.path / "a").write_text("x")
    mount.flush()
    shown = open(f"/proc/{mount.process}/cmdline").read() + open("/proc/mounts").read() + mount.log()
    shown += json.dumps(mount.status())
    assert "very-secret-indeed" not in shown
    assert oct(mount.cache.stat().st_mode & 0o777) == "0o700"
