"""A worker as the driver sees it: lines of JSON to and from a process that holds one engine.

First the worker writes {"version": …, "detail": …}. Then each request has one answer:

    {"time": {"kind": "images", "batch": 8, "repeat": 3}}             {"seconds": [0.21, 0.2, 0.2]}
    {"embed": {"kind": "texts", "batch": 1, "path": "vectors.f32"}}   {}
    {"peak": "bf16", "seconds": 0.3}                                  {"operations_per_second": 4.7e11} or null
"""

import json
import os
import subprocess
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class WorkerFailed(Exception):
    """The process ended; the message is the last thing it said."""


class Worker:
    def __init__(self, command, threads, log):
        # candle asks rayon, torch may ask OpenMP before it is told; the rest goes by arguments.
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self.log = Path(log)
        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        try:
            self.ready = self._read()
        except WorkerFailed:
            self.close()
            raise

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # The reason is in the log.
        return self._read()

    def time(self, kind, batch, repeat):
        return self.ask(time={"kind": kind, "batch": batch, "repeat": repeat})["seconds"]

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise WorkerFailed(said[-1] if said else f"ended with status {self.process.returncode}")
        return json.loads(line)

    def processor_seconds(self):
        """Processor time so far, of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
