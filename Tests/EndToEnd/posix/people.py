"""Calls made by somebody else."""
import os
import pickle
import traceback


class User:
    """`alice(os.mkdir, path)` makes the call in a process of hers, and gives or raises what it gave or raised there."""

    def __init__(self, uid, gid, *groups):
        self.uid, self.gid, self.groups = uid, gid, groups

    def __call__(self, function, *arguments, umask=0o022, **named):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._work(writing, function, arguments, umask, named)
        os.close(writing)
        with open(reading, "rb") as answer:
            said = answer.read()
        os.waitpid(child, 0)
        assert said, f"{function} ended its process"
        result, error, trace = pickle.loads(said)
        if isinstance(error, OSError):
            raise error
        assert error is None, trace
        return result

    def _work(self, writing, function, arguments, umask, named):
        try:
            os.setgroups(self.groups)
            os.setgid(self.gid)
            os.setuid(self.uid)
            os.umask(umask)
            answer = (function(*arguments, **named), None, "")
        except BaseException as error:
            answer = (None, error, traceback.format_exc())
        try:
            os.write(writing, pickle.dumps(answer))
        finally:
            os._exit(0)

    def __repr__(self):
        return f"user {self.uid}:{self.gid}"


root = User(0, 0)
alice = User(61001, 62001)
bob = User(61002, 62002)
# In a group of alice's.
carol = User(61003, 62003, 62001)
