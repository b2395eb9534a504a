"""Directory trees to copy, and comparing two of them."""
import hashlib
import os
import random
import stat


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot(root, times=True):
    """Path to what a tree has there: kind, mode, size and hash or target, time of modification."""
    found = {}

    def note(path, name):
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        entry = {"kind": kind, "mode": stat.S_IMODE(status.st_mode)}
        if stat.S_ISREG(status.st_mode):
            entry |= {"size": status.st_size, "sha256": digest(path)}
        if stat.S_ISLNK(status.st_mode):
            entry = {"kind": kind, "target": os.readlink(path)}
        elif times:
            entry["mtime"] = status.st_mtime_ns
        found[name] = entry

    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            note(path, os.path.relpath(path, root))
    return found


def differences(left, right):
    """What two snapshots disagree about, readable, at most 20 lines."""
    lines = []
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            lines.append(f"{name}: {left.get(name)} != {right.get(name)}")
    return lines[:20]


def assert_equal(left, right, times=True):
    found = differences(snapshot(left, times), snapshot(right, times))
    assert not found, "\n".join(found)


def make_tree(root, seed=1, files=120):
    """Files of many sizes, directories, symbolic links, odd modes and old times."""
    choose = random.Random(seed)
    folders = [root]
    os.makedirs(root)
    for number in range(12):
        folder = os.path.join(choose.choice(folders), f"dir {number}")
        os.mkdir(folder)
        folders.append(folder)
    for number in range(files):
        path = os.path.join(choose.choice(folders), choose.choice(["f", "ö", "with space ", "-"]) + str(number))
        with open(path, "wb") as file:
            file.write(choose.randbytes(choose.choice([0, 1, 100, 4096, 5000, 70_000])))
        os.chmod(path, choose.choice([0o644, 0o600, 0o755, 0o640, 0o444]))
        set_time(path, choose)
    os.symlink("f0", os.path.join(root, "link"))
    os.symlink("/nowhere/at all", os.path.join(folders[3], "dangling"))
    with open(os.path.join(root, "large"), "wb") as file:
        file.write(choose.randbytes(3_000_000))
    for folder in reversed(folders):
        os.chmod(folder, choose.choice([0o755, 0o700, 0o750]))
        set_time(folder, choose)


def set_time(path, choose):
    moment = choose.randrange(10**18, 17 * 10**17)
    os.utime(path, ns=(moment, moment))
