"""Reads whose answers are late are asked for again."""
import pytest

FILES = 300
STALL_EVERY = 40


def read_all(mounts, bucket, proxy, proxied, *options):
    """Reads files one after the other, each a request, of which every fortieth is held up; what `pail status` says then."""
    contents = {f"f{number:03}": f"content {number}".encode() * 100 for number in range(FILES)}
    for name, content in contents.items():
        bucket.put(name, content)
    mount = mounts(proxied, "--refresh", "1h", *options)
    proxy.stall_every, proxy.stall_seconds = STALL_EVERY, 2
    for name, content in contents.items():
        assert (mount.path / name).read_bytes() == content
    return mount.status()


@pytest.mark.on("ministack")
def test_late_answers_are_overtaken(mounts, bucket, proxy, proxied):
    status = read_all(mounts, bucket, proxy, proxied, "--hedge")
    assert proxy.stalled >= FILES // STALL_EVERY
    # Others may be late on a busy machine, and use up what may be sent twice.
    assert proxy.abandoned > proxy.stalled / 2
    assert status["hedgesWon"] >= proxy.abandoned
    assert proxy.reads - FILES <= status["hedgedRequests"] <= status["requests"] * 0.06 + 5


@pytest.mark.on("ministack")
def test_each_request_is_sent_once_unless_asked_for(mounts, bucket, proxy, proxied):
    status = read_all(mounts, bucket, proxy, proxied)
    assert proxy.reads == FILES
    assert proxy.stalled == FILES // STALL_EVERY and proxy.abandoned == 0
    assert status["hedgedRequests"] == 0
