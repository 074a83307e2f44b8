#!/usr/bin/env python3
"""Measures all contestants in interleaved rounds, prints the tables and writes them to docs/performance.md.

`tests/peers/run` prepares what this needs and calls it.
"""

import argparse
import datetime
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import document
import instructions
import processor
import report
from inputs import IMAGES, TOKENS, WEIGHTS_SHA256
from measure import Case, Pace, Worker, WorkerFailed, measure

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
DOCUMENT = CHECKOUT / "docs" / "performance.md"
THREADS = [1, 2]
SEED = 1
# Share of the machine that other programs may use before the figures are doubtful.
QUIET = 0.05


@dataclass(frozen=True)
class Contestant:
    """An engine in one precision."""

    key: str
    name: str
    # The numbers it multiplies: f32, bf16 or int8.
    precision: str
    # Module of engines/ and its name for the precision; None for an engine of crates/clip.
    module: str | None = None
    variant: str | None = None
    # Kernels of crates/clip; None for the fastest on this CPU.
    kernels: str | None = None
    texts: bool = False

    @property
    def ours(self):
        return self.module is None and self.kernels != "candle"


CONTESTANTS = [
    Contestant("candle", "candle-transformers f32", "f32", kernels="candle", texts=True),
    Contestant("torch-f32", "PyTorch f32", "f32", "pytorch", "f32", texts=True),
    Contestant("torch-bf16", "PyTorch bf16, weights rounded", "bf16", "pytorch", "bf16"),
    Contestant("torch-bf16-autocast", "PyTorch bf16, autocast", "bf16", "pytorch", "bf16-autocast"),
    Contestant("onnxruntime-f32", "ONNX Runtime f32", "f32", "onnx_runtime", "f32", texts=True),
    Contestant("onnxruntime-int8", "ONNX Runtime int8", "int8", "onnx_runtime", "int8"),
    Contestant("openvino-f32", "OpenVINO f32", "f32", "openvino_cpu", "f32"),
    Contestant("openvino-bf16", "OpenVINO bf16", "bf16", "openvino_cpu", "bf16"),
    Contestant("faster-clip", "faster-clip", "f32", "faster_clip", "int8"),
    Contestant("clip-f32-avx2", "clip f32, AVX2 kernels", "f32", kernels="avx2", texts=True),
    Contestant("clip-f32", "clip f32", "f32", texts=True),
    Contestant("clip-bf16", "clip bf16", "bf16", texts=True),
    Contestant("clip-int8", "clip int8", "int8", texts=True),
]

# The engine with which the others are compared.
REFERENCE = "torch-f32"


def parse():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", type=Path, required=True, help="directory with config.json and model.safetensors")
    arguments.add_argument("--inputs", type=Path, required=True, help="directory that inputs.py has filled")
    arguments.add_argument("--peer", type=Path, required=True, help="the example program of crates/clip")
    arguments.add_argument("--quick", action="store_true", help="one short round, not written to the document")
    arguments.add_argument("--only", metavar="KEY,...", help="only these contestants, not written to the document")
    return arguments.parse_args()


def command(contestant, threads, arguments):
    options = ["--model", arguments.model, "--threads", threads]
    if contestant.module is not None:
        program = [sys.executable, HERE / "worker.py", contestant.module]
        return [*program, "--precision", contestant.variant, "--inputs", arguments.inputs, *options]
    inputs = ["--images", arguments.inputs / IMAGES, "--tokens", arguments.inputs / TOKENS]
    kernels = ["--kernels", contestant.kernels] if contestant.kernels else []
    return [arguments.peer, "engine", "--precision", contestant.precision, *kernels, *inputs, *options]


def start(contestants, arguments, logs):
    """Workers by (engine, threads), and why some could not start."""
    workers, absent = {}, {}
    for contestant in contestants:
        for threads in THREADS:
            print(f"loading {contestant.name}, {threads} threads", file=sys.stderr)
            log = logs / f"{contestant.key}-{threads}.log"
            try:
                workers[contestant.key, threads] = Worker(command(contestant, threads, arguments), threads, log)
            except WorkerFailed as failure:
                absent[contestant.key] = str(failure)
                break
    return workers, absent


def check_weights(workers, arguments):
    """Checks that all engines use the same weights, as far as they report them."""
    expected = (arguments.inputs / WEIGHTS_SHA256).read_text()
    for (engine, _), worker in workers.items():
        found = worker.ready.get("weights_sha256", expected)
        if found != expected:
            sys.exit(f"{engine} has weights {found}, the others {expected}")
    return expected


def compare(workers, contestants, kind, batch, directory):
    """How near each is to the reference; empty if the reference does not take part."""
    vectors = {}
    for contestant in contestants:
        worker = workers.get((contestant.key, THREADS[-1]))
        if worker is not None and (kind == "images" or contestant.texts):
            path = directory / f"{contestant.key}-{kind}.f32"
            worker.ask(embed={"kind": kind, "batch": batch, "path": str(path)})
            vectors[contestant.key] = np.fromfile(path, "<f4").reshape(-1, 512)
    if REFERENCE not in vectors:
        return {}
    reference = vectors.pop(REFERENCE)
    return {key: report.compared(found, reference) for key, found in vectors.items()}


def versions(workers, contestants):
    """The other libraries, each once; candle's version from the lock file, the rest as they report them."""
    candle = re.search(r'name = "candle-transformers"\nversion = "(.*)"', (CHECKOUT / "Cargo.lock").read_text())[1]
    others = {it.key for it in contestants if it.module is not None}
    found = {worker.ready["version"] for (engine, _), worker in workers.items() if engine in others}
    return ", ".join([f"candle {candle}", *sorted(found)])


def main():
    arguments = parse()
    wanted = arguments.only.split(",") if arguments.only else [it.key for it in CONTESTANTS]
    contestants = [it for it in CONTESTANTS if it.key in wanted]
    if len(contestants) != len(wanted):
        sys.exit(f"expected some of {', '.join(it.key for it in CONTESTANTS)}")
    by_key = {it.key: it for it in CONTESTANTS}
    quick, full = Pace(1, measurement=0.2, peak=0.1, limit=60), Pace(5, measurement=0.8, peak=0.3, limit=600)
    pace = quick if arguments.quick else full
    batches = [1, 8] if arguments.quick else [1, 8, 32]
    images = [Case(threads, "images", batch) for threads in THREADS for batch in batches]
    texts = [Case(threads, "texts", 1) for threads in THREADS]

    results = arguments.inputs.parent / "results"
    results.mkdir(exist_ok=True)
    peaks = {
        threads: Worker([arguments.peer, "peak", "--threads", threads], threads, results / f"peak-{threads}.log")
        for threads in THREADS
    }
    workers, absent = start(contestants, arguments, results)
    try:
        weights = check_weights(workers, arguments)
        near_images = compare(workers, contestants, "images", 8, results)
        near_texts = compare(workers, contestants, "texts", 1, results)

        def takes_part(engine, case):
            return case.kind == "images" or by_key[engine].texts

        measured = measure(workers, peaks, [*images, *texts], takes_part, pace, SEED)
    finally:
        for worker in [*workers.values(), *peaks.values()]:
            worker.close()

    ready = {engine: worker.ready for (engine, threads), worker in workers.items() if threads == THREADS[-1]}
    used = {
        engine: instructions.of_engine(said["kernels"], by_key[engine].precision) for engine, said in ready.items()
    }
    figures = report.Figures(measured, used)
    found = processor.read()
    parts = [
        f"`make bench-peers`, {datetime.date.today():%d %B %Y}; {processor.description(found)}; {report.memory()}; "
        f"{report.system()}. "
        f"{versions(workers, contestants)}. Weights {weights[:12]}…; {measured.rounds} of {pace.rounds} rounds. "
        f"Other programs used {measured.foreign:.1%} of the machine meanwhile, "
        f"waiting engines at most {measured.idle:.1%} of a processor.",
        "#### Aims",
        report.ratios(report.aims(figures, lambda key: by_key[key].name)),
        "#### Images per second",
        report.speeds(figures, contestants, images),
        "#### Milliseconds per call",
        report.latencies(figures, contestants, images),
        "#### Share of the peak of its instruction",
        report.shares(figures, contestants, images),
        "The peak, registers only, and the images per second that it would be, at " + report.counted_work() + ":",
        report.peaks(figures, peaks[THREADS[0]].ready["instructions"], THREADS),
        *(["#### Cosine to PyTorch f32, 32 images", report.nearness(contestants, near_images)] if near_images else []),
        "#### One text of eight tokens",
        report.texts(figures, contestants, THREADS, near_texts),
        "#### What ran",
        report.what_ran(figures, contestants, ready),
        *(f"Not available: {by_key[key].name} ({reason})." for key, reason in absent.items()),
    ]
    text = "\n\n".join(parts)
    print(text)
    if measured.foreign > QUIET:
        print(
            f"\nOther programs used {measured.foreign:.0%} of the machine: the figures are unreliable", file=sys.stderr
        )
    if not arguments.quick and not arguments.only:
        DOCUMENT.write_text(document.with_figures(DOCUMENT.read_text(), processor.kind(found), text))


if __name__ == "__main__":
    main()
