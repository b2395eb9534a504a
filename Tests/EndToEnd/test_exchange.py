"""Files and directories that change places: in a local bucket, where a path is one or the other, each is in the other's
way."""
import os

from calls import RENAME_EXCHANGE, rename2


def test_file_and_directory(mount):
    path, bucket = mount.path, mount.bucket
    (path / "d").mkdir()
    (path / "d/x").write_text("inside")
    (path / "f").write_text("file")
    mount.flush()
    rename2(path / "d", path / "f", RENAME_EXCHANGE)
    mount.flush()
    assert bucket.get("d") == b"file" and bucket.get("f/x") == b"inside"
    assert {name for name in bucket.keys() if not name.endswith("/")} == {"d", "f/x"}


def test_round_of_three(mount):
    path, bucket = mount.path, mount.bucket
    for name in "ab":
        (path / name / "below").mkdir(parents=True)
        (path / name / "below/x").write_text(name)
    (path / "c").write_text("c")
    mount.flush()
    os.rename(path / "a", path / "free")
    os.rename(path / "c", path / "a")
    os.rename(path / "b", path / "c")
    os.rename(path / "free", path / "b")
    (path / "c/below/y").write_text("new")
    mount.flush()
    mount.remount(empty_cache=True)
    assert (path / "a").read_text() == "c" and (path / "b/below/x").read_text() == "a"
    assert (path / "c/below/x").read_text() == "b" and bucket.get("c/below/y") == b"new"
