"""A store of the S3 protocol in a process of its own, and a wire to it that breaks."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import boto3
import botocore.exceptions

BUCKET = "bucket"


@contextlib.contextmanager
def served():
    """Yields the port of a store with an empty bucket."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.1)
        client(environment(port)).create_bucket(Bucket=BUCKET)
        yield port
    finally:
        process.kill()
        process.wait()


def environment(port, seconds=0.2):
    """What tells commands where the store is; they send every so many seconds."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "TFP_PRIORS_SYNC_SECONDS": str(seconds),
    }


def client(environment):
    """A client of the store that knows nothing of the package under test."""
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def files(environment, folder=""):
    """The contents of the files in a folder of the bucket, by their names."""
    s3, found = client(environment), {}
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix=folder
    ):
        for entry in page.get("Contents", []):
            with contextlib.suppress(botocore.exceptions.ClientError):  # It went.
                body = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"]
                found[entry["Key"].removeprefix(folder)] = body.read()
    return found


class Wire:
    """Passes bytes on to a port, until it breaks in the middle of a file.

    Args:
      port: to which bytes go.
      limit: bytes after which it breaks.
    """

    def __init__(self, port, limit):
        self._target = ("127.0.0.1", port)
        self._left = limit
        self._sockets = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def is_broken(self):
        """Whether all connections have ended, and every new one ends at once."""
        return self._left <= 0

    def _break(self):
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self):
        """Lets connections through again."""
        self._left = 2**40

    def _accept(self):
        while True:
            ours, _ = self._server.accept()
            if self.is_broken:
                ours.close()
                continue
            theirs = socket.create_connection(self._target)
            self._sockets += [ours, theirs]
            for source, target in ((ours, theirs), (theirs, ours)):
                threading.Thread(
                    target=self._pass_on, args=(source, target), daemon=True
                ).start()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(2**14):
                target.sendall(data)
                self._left -= len(data)
                if self.is_broken:
                    self._break()
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
