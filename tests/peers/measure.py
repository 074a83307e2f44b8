"""Runs each engine in a worker process, and measures all of them in interleaved rounds.

In each round every case is measured, and in each case every engine, in an order that changes. Driver and worker exchange
lines of JSON. First the worker writes {"version": …, "detail": …, "kernels": {name: weight, …}}; one that
measures peaks "instructions" in place of kernels. Then each request has one answer:

    {"time": {"kind": "images", "batch": 8, "repeat": 3}}             {"seconds": [0.21, 0.2, 0.2]}
    {"embed": {"kind": "texts", "batch": 1, "path": "vectors.f32"}}   {}
    {"peak": "vdpbf16ps zmm", "seconds": 0.3}                         {"operations_per_second": 4.7e11}
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class WorkerFailed(Exception):
    """The process ended; the message is the last line of its log."""


class Worker:
    def __init__(self, command, threads, log):
        # For rayon, which candle uses, and OpenMP, which torch may start before it gets its arguments.
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
            pass  # `_read` reports the reason from the log.
        return self._read()

    def time(self, kind, batch, repeat):
        return self.ask(time={"kind": kind, "batch": batch, "repeat": repeat})["seconds"]

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            lines = self.log.read_text(errors="replace").strip().splitlines()
            raise WorkerFailed(lines[-1] if lines else f"ended with status {self.process.returncode}")
        return json.loads(line)

    def processor_seconds(self):
        """CPU time of all its threads so far."""
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


@dataclass(frozen=True)
class Case:
    """A measurement that all engines make one after another."""

    threads: int
    kind: str
    batch: int


@dataclass(frozen=True)
class Pace:
    """Length of the measurement."""

    rounds: int
    # Seconds of calls per measurement, at least one call.
    measurement: float
    # Seconds per peak.
    peak: float
    # Seconds for all rounds. Only the first one starts even if it may not end in time.
    limit: float


@dataclass
class Measured:
    """One number per round: seconds per call by (engine, case), operations per second by (instruction, case)."""

    seconds: dict
    peaks: dict
    rounds: int = 0
    # The largest share of one CPU that waiting workers used during a measurement.
    idle: float = 0.0
    # The share of the whole machine that other processes used.
    foreign: float = 0.0


def busy_seconds():
    """CPU time of the machine that was not idle, and all of it."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / CLOCK_TICKS, sum(fields) / CLOCK_TICKS


def measure(workers, peaks, cases, takes_part, pace, seed):
    """`workers` by (engine, threads), `peaks` by threads; `takes_part(engine, case)` selects what is measured."""
    measured = Measured({}, {})
    shuffle = random.Random(seed)
    repeats = {}
    every_worker = [*workers.values(), *peaks.values()]
    busy_before, all_before = busy_seconds()
    ours_before = sum(worker.processor_seconds() for worker in every_worker)

    began = time.monotonic()
    for number in range(pace.rounds):
        elapsed = time.monotonic() - began
        if number and elapsed * (number + 1) / number > pace.limit:
            break
        measured.rounds = number + 1
        for case in shuffle.sample(cases, len(cases)):
            what = f"{case.threads} threads, {case.batch} {case.kind}"
            print(f"round {number + 1} of {pace.rounds}: {what}", file=sys.stderr)
            if case.kind == "images":
                for instruction in peaks[case.threads].ready["instructions"]:
                    if instruction["available"]:
                        answer = peaks[case.threads].ask(peak=instruction["name"], seconds=pace.peak)
                        key = instruction["name"], case
                        measured.peaks.setdefault(key, []).append(answer["operations_per_second"])
            engines = [engine for engine, threads in workers if threads == case.threads and takes_part(engine, case)]
            for engine in shuffle.sample(engines, len(engines)):
                worker = workers[engine, case.threads]
                others = [other for other in every_worker if other is not worker]
                waited = sum(other.processor_seconds() for other in others)
                seconds = one(worker, case, repeats, (engine, case), pace)
                measured.seconds.setdefault((engine, case), []).append(statistics.median(seconds))
                waited = sum(other.processor_seconds() for other in others) - waited
                # The clock is too coarse for shorter times.
                if sum(seconds) > 0.5:
                    measured.idle = max(measured.idle, waited / sum(seconds))

    busy_after, all_after = busy_seconds()
    ours = sum(worker.processor_seconds() for worker in every_worker) - ours_before
    measured.foreign = max(0.0, busy_after - busy_before - ours) / (all_after - all_before)
    return measured


def one(worker, case, repeats, key, pace):
    """Seconds of each call. An untimed call first wakes threads and fills caches, unless calls are long."""
    if key not in repeats:
        # The first call of a batch size may compile or allocate; the second one measures how long a call takes.
        worker.time(case.kind, case.batch, 1)
        (seconds,) = worker.time(case.kind, case.batch, 1)
        repeats[key] = max(1, round(pace.measurement / seconds))
    elif repeats[key] > 1:
        worker.time(case.kind, case.batch, 1)
    return worker.time(case.kind, case.batch, repeats[key])
