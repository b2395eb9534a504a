"""What the network and the server give without a mount: parallel ranged GETs by curl, parallel PUTs of parts."""
import http.client
import mmap
import subprocess
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from step import SECONDS, Failed

MIB = 1 << 20
PART = 16 * MIB


def download(bucket, key, size, connections):
    """Seconds that `connections` curls take for an object, each a range of it, to /dev/null."""
    url = bucket.client.generate_presigned_url("get_object", Params={"Bucket": bucket.name, "Key": key})
    share = -(-size // connections)
    begin = time.monotonic()
    curls = [
        subprocess.Popen(
            ["curl", "-sf", "--max-time", str(SECONDS), "-o", "/dev/null", "-w", "%{size_download}", "-r",
             f"{start}-{min(start + share, size) - 1}", url],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for start in range(0, size, share)]
    got = sum(int(curl.communicate()[0] or 0) for curl in curls)
    seconds = time.monotonic() - begin
    if got != size:
        raise Failed(f"curl got {got} of {size} bytes")
    return seconds


def put(url, body):
    """One PUT, its answer's ETag."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
    try:
        connection.request("PUT", f"{parts.path}?{parts.query}", body, {"Content-Length": str(len(body))})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed(f"PUT: {answer.status} {text[:200]}")
        return answer.getheader("ETag")
    finally:
        connection.close()


def upload(bucket, key, path, connections=8):
    """Seconds that a file takes into the bucket, as one multipart upload, `connections` parts at a time."""
    client, names = bucket.client, {"Bucket": bucket.name, "Key": key}
    begin = time.monotonic()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data, \
            memoryview(data) as view, ThreadPoolExecutor(connections) as pool:
        identity = names | {"UploadId": client.create_multipart_upload(**names)["UploadId"]}

        def part(number):
            url = client.generate_presigned_url("upload_part", Params=identity | {"PartNumber": number})
            with view[(number - 1) * PART:number * PART] as piece:
                return {"PartNumber": number, "ETag": put(url, piece)}

        parts = list(pool.map(part, range(1, -(-len(view) // PART) + 1)))
    client.complete_multipart_upload(**identity, MultipartUpload={"Parts": parts})
    return time.monotonic() - begin
