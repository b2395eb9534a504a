"""Buckets of every kind that the tests know, looked at directly, beside pail."""
import os
import uuid
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"


class LocalBucket:
    kind = "local"
    environment = {}
    options = []
    # A directory can't hold every key.
    holds_any_key = False

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.address = f"file://{self.directory}"

    def get(self, key):
        return (self.directory / key).read_bytes()

    def put(self, key, body, metadata=None):
        path = self.directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # As another program would do it: whole.
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        temporary.write_bytes(body)
        temporary.rename(path)

    def delete(self, key):
        (self.directory / key).unlink()

    def keys(self):
        """Key to size of all objects but the markers of directories and what is the store's own."""
        found = {}
        for folder, folders, files in os.walk(self.directory):
            folders[:] = [name for name in folders if not name.startswith(".pail")]
            for name in files:
                path = Path(folder) / name
                found[str(path.relative_to(self.directory))] = path.stat().st_size
        return found

    def remove(self):
        pass


class S3Bucket:
    holds_any_key = True

    def __init__(self, kind, endpoint, key, secret, name=None):
        self.kind = kind
        self.endpoint = endpoint
        self.name = name or f"e2e-{uuid.uuid4().hex[:12]}"
        self.address = f"s3://{self.name}"
        self.options = ["--endpoint", endpoint, "--region", REGION]
        self.environment = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name=REGION,
            config=Config(
                s3={"addressing_style": "path"}, connect_timeout=10, read_timeout=60, retries={"max_attempts": 3},
                request_checksum_calculation="when_required", response_checksum_validation="when_required"))
        if name is None:
            self.client.create_bucket(Bucket=self.name)

    def through(self, endpoint):
        """The same bucket at another address."""
        other = S3Bucket(
            self.kind, endpoint, self.environment["AWS_ACCESS_KEY_ID"], self.environment["AWS_SECRET_ACCESS_KEY"],
            name=self.name)
        other.client = self.client
        return other

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def metadata(self, key):
        return self.client.head_object(Bucket=self.name, Key=key)["Metadata"]

    def put(self, key, body, metadata=None):
        self.client.put_object(Bucket=self.name, Key=key, Body=body, Metadata=metadata or {})

    def delete(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)

    def all_keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def keys(self):
        return {
            key: size for key, size in self.all_keys().items() if not key.endswith("/") and not key.startswith(".pail")
        }

    def remove(self):
        """So that a server that keeps everything in memory doesn't grow with the tests."""
        try:
            for key in self.all_keys():
                self.client.delete_object(Bucket=self.name, Key=key)
            self.client.delete_bucket(Bucket=self.name)
        except ClientError:
            pass


def endpoint(kind):
    return os.environ.get(f"PAIL_TEST_{kind.upper()}")


def keys_of(kind):
    """The key pair of a server: its own, or the one that all the others have."""
    names = ("KEY", "SECRET")
    return [os.environ.get(f"PAIL_TEST_{kind.upper()}_{name}") or os.environ[f"PAIL_TEST_{name}"] for name in names]


def make(kind, directory):
    if kind == "local":
        return LocalBucket(Path(directory) / "bucket")
    return S3Bucket(kind, endpoint(kind), *keys_of(kind))
