"""Two processes, ours and a peer's, that time items in turn."""

import json
import math
import os
import statistics
import subprocess
import sys
import time


def _timed(call, seconds):
    times = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
    return {"ms": 1e3 * statistics.median(times), "calls": len(times), "value": value}


def serve(build, versions):
    """Answers each request on standard input with the time of one call.

    Args:
      build: `build(library, name, method)` returns a function that runs the item
        once, waits for the result and returns a number that depends on all of it.
      versions: dict of library versions.
    """
    calls = {}
    print(json.dumps({"versions": versions}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        key = request["library"], *request["item"].split(".")
        if key not in calls:
            calls[key] = build(*key)
        print(json.dumps(_timed(calls[key], request["seconds"])), flush=True)


class Side:
    """A process that times items on request."""

    def __init__(self, command, verbose):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if verbose else subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.versions = self._read()["versions"]

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            sys.exit("A side has died; see its messages with --verbose.")
        return json.loads(line)

    def time(self, library, item, seconds):
        request = {"library": library, "item": item, "seconds": seconds}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if not math.isfinite(answer["value"]):
            sys.exit(f"{library} gives {answer['value']} for {item}.")
        return answer["ms"]

    def close(self):
        self._process.stdin.close()
        self._process.wait()
