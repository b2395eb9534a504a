"""The SeaweedFS that all share: buckets that are filled and removed beside the contestants, through its filer."""
import http.client
import os
import socket
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import buckets

TIMEOUT = 300
BATCH = 200


def filer():
    return urllib.parse.urlsplit(os.environ["PAIL_TEST_SEAWEEDFS_FILER"])


def new_bucket():
    return buckets.make("seaweedfs", None)


def remove_bucket(bucket):
    """At one stroke: ten thousand deletions take longer than what is measured."""
    connection = http.client.HTTPConnection(filer().netloc, timeout=TIMEOUT)
    try:
        connection.request("DELETE", f"/buckets/{bucket.name}?recursive=true")
        connection.getresponse().read()
    except OSError as error:
        print(f"  bucket {bucket.name} is left: {error}", flush=True)
    finally:
        connection.close()


def put_empty_files(bucket, directories, files):
    """folder0/file0 and so on: `files` in each of `directories`, many requests under way on each connection."""
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda number: put_folder(bucket, f"folder{number}", files), range(directories)):
            pass


def put_folder(bucket, folder, files):
    address = filer()
    head = f" HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as connection:
        answers = connection.makefile("rb")
        for begin in range(0, files, BATCH):
            numbers = range(begin, min(begin + BATCH, files))
            connection.sendall("".join(
                f"PUT /buckets/{bucket.name}/{folder}/file{number}{head}" for number in numbers).encode())
            for _ in numbers:
                read_answer(answers)


def read_answer(answers):
    status = answers.readline().split()
    if len(status) < 2 or not status[1].startswith(b"2"):
        raise OSError(f"the filer answers {status}")
    length = 0
    while (line := answers.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answers.read(length)
