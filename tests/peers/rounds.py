"""Interleaved measurements: in each round every case, in each case every engine, in an order that changes."""

import random
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from process import CLOCK_TICKS

PRECISIONS = ["f32", "bf16", "int8"]


@dataclass(frozen=True)
class Case:
    """What all engines do one after another."""

    threads: int
    kind: str
    batch: int


@dataclass(frozen=True)
class Pace:
    """How long to look."""

    rounds: int
    # Seconds of calls per measurement, at least one call.
    measurement: float
    # Seconds per peak.
    peak: float
    # Seconds for all rounds: none begins that may not end in time. The first always does.
    limit: float


@dataclass
class Measured:
    """One number per round: seconds a call by (engine, case), operations a second by (precision, case)."""

    seconds: dict
    peaks: dict
    rounds: int = 0
    # The most that waiting workers used of one processor during somebody else's turn.
    idle: float = 0.0
    # What processes that are not part of the run used of the whole machine.
    foreign: float = 0.0


def busy_seconds():
    """Processor time of the machine that was not idle, and all of it."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / CLOCK_TICKS, sum(fields) / CLOCK_TICKS


def measure(workers, peaks, cases, takes_part, pace, seed):
    """`workers` by (engine, threads), `peaks` by threads; `takes_part(engine, case)` says who is measured."""
    measured = Measured({}, {})
    shuffle = random.Random(seed)
    repeats = {}
    everybody = [*workers.values(), *peaks.values()]
    busy_before, all_before = busy_seconds()
    ours_before = sum(worker.processor_seconds() for worker in everybody)

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
                for precision in PRECISIONS:
                    answer = peaks[case.threads].ask(peak=precision, seconds=pace.peak)
                    measured.peaks.setdefault((precision, case), []).append(answer["operations_per_second"])
            engines = [engine for engine, threads in workers if threads == case.threads and takes_part(engine, case)]
            for engine in shuffle.sample(engines, len(engines)):
                worker = workers[engine, case.threads]
                others = [other for other in everybody if other is not worker]
                waited = sum(other.processor_seconds() for other in others)
                seconds = one(worker, case, repeats, (engine, case), pace)
                measured.seconds.setdefault((engine, case), []).append(statistics.median(seconds))
                waited = sum(other.processor_seconds() for other in others) - waited
                # Below a few ticks the clock is too coarse to tell.
                if sum(seconds) > 0.5:
                    measured.idle = max(measured.idle, waited / sum(seconds))

    busy_after, all_after = busy_seconds()
    ours = sum(worker.processor_seconds() for worker in everybody) - ours_before
    measured.foreign = max(0.0, busy_after - busy_before - ours) / (all_after - all_before)
    return measured


def one(worker, case, repeats, key, pace):
    """Seconds of each call. An untimed one brings threads and caches back from waiting; long calls need none."""
    if key not in repeats:
        # The very first call of a batch size may compile or allocate; the second says how long one takes.
        worker.time(case.kind, case.batch, 1)
        (seconds,) = worker.time(case.kind, case.batch, 1)
        repeats[key] = max(1, round(pace.measurement / seconds))
    elif repeats[key] > 1:
        worker.time(case.kind, case.batch, 1)
    return worker.time(case.kind, case.batch, repeats[key])
