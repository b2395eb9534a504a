"""What the documents show works: the samples in mount-configs, the commands in README.md."""
import re
import shutil
import subprocess

import pytest

import buckets
from buckets import REGION, LocalBucket
from pail import PAIL, ROOT, environment, is_mounted, run

SAMPLES = sorted((ROOT / "mount-configs").glob("*.yaml"))


def replaced(text, values):
    """The text with other values for these keys, wherever they stand; None takes the line out."""
    for key, value in values.items():
        line = rf"^([ ]*){key}:[^\n]*\n"
        text = re.sub(line, "" if value is None else rf"\g<1>{key}: {value}\n", text, flags=re.M)
    return text


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_samples_mount(mounts, place, sample):
    """With the bucket, its address and the paths replaced, and everything else as it stands."""
    text = sample.read_text()
    password = place / "password"
    remote = "s3://" in text and "anonymous: true" not in text
    if remote:
        if not buckets.endpoint("ministack"):
            pytest.skip("no ministack: run by scripts/with-servers ministack -- ...")
        bucket = buckets.make("ministack", place)
        key, secret = bucket.environment.values()
        password.touch(mode=0o600)
        password.write_text(f"{key}:{secret}\n")
    else:
        bucket = LocalBucket(place / "bucket")
    bucket.put("there", b"x")
    mount = mounts(bucket, mount=False)
    values = {
        "bucket": bucket.address, "mountPoint": mount.path, "endpoint": None, "directory": None, "region": REGION,
        "passwordFile": password, "file": place / "log", "pathStyle": None,
    }
    if not remote:
        values |= {"anonymous": None, "region": None, "passwordFile": None}
    config = place / "mount.yaml"
    config.write_text(replaced(text, values))
    options = ["--endpoint", bucket.endpoint] if remote else []
    # The commented lines of a sample count, too: what they show must be known keys.
    mount.command("mount", "--config", config, "--cache-dir", mount.cache, *options)
    mount.process = mount.status()["pid"]
    assert (mount.path / "there").read_bytes() == b"x"
    mount.umount()
    bucket.remove()


def blocks():
    """The ```sh blocks of README.md that an HTML comment `<!-- tested -->` precedes."""
    text = (ROOT / "README.md").read_text()
    return re.findall(r"<!-- tested -->\n+```sh\n(.*?)```", text, re.S)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_readme_commands(place, number):
    """Each block in an empty directory, `pail` being on the path."""
    programs = place / "bin"
    programs.mkdir()
    (programs / "pail").symlink_to(PAIL.resolve())
    env = environment(place)
    env["PATH"] = f"{programs}:{env['PATH']}"
    work = place / "work"
    work.mkdir()
    try:
        result = run("bash", "-euo", "pipefail", "-c", blocks()[number], cwd=work, env=env, timeout=90, check=False)
        assert result.returncode == 0, f"{blocks()[number]}\n{result.stdout}{result.stderr}"
    finally:
        subprocess.run(["pail", "umount", "dir"], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=60)


def test_a_toolchain_is_found_off_the_path(place):
    """Debian's OpenStack client is passed over, and that PATH has no `swift` is no fault, also under `set -e`."""
    client = place / "swift"
    client.write_text("#!/bin/sh\necho python-swiftclient 4.1.0\n")
    toolchain = place / ".local/share/swiftly/bin/swift"
    toolchain.parent.mkdir(parents=True)
    toolchain.write_text("#!/bin/sh\necho 'Swift version 6.1 (swift-6.1-RELEASE)'\n")
    for program in (client, toolchain):
        program.chmod(0o755)
    env = environment(place) | {"PATH": "/usr/bin:/bin", "SWIFT": str(client)}
    found = run("bash", "-euc", '. scripts/common.sh; find_swift; echo "$swift"', cwd=ROOT, env=env).stdout.strip()
    assert found and found != str(client)


def statements():
    """The statements of docs/SEMANTICS.md: each item's text."""
    text = (ROOT / "docs/SEMANTICS.md").read_text()
    return [" ".join(item.split()) for item in re.findall(r"^- (.*?)(?=^- |^#|\Z)", text, re.S | re.M)]


def test_every_statement_is_executed():
    """Each names tests, a whole file or `file::function`, and those exist."""
    assert len(statements()) > 30
    for statement in statements():
        named = re.search(r"\[([^\]]*test_[^\]]*)\]$", statement)
        assert named, f"no test is named by: {statement}"
        for test in named[1].split(", "):
            file, _, function = test.partition("::")
            text = (ROOT / "Tests/EndToEnd" / file).read_text()
            assert re.search(rf"^def {function or 'test_'}", text, re.M), f"{test}, named by: {statement}"
