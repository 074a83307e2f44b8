#!/usr/bin/env python3
"""One engine with one number of threads, in a process of its own: loads once, then answers lines of JSON.

`measure.py` describes the protocol; `crates/clip/examples/peer` implements it for the engines in Rust.
"""

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from inputs import IMAGES, TOKENS


class Inputs:
    """The inputs of one kind, and the next one, so that small batches use all of them."""

    def __init__(self, values):
        self.values, self.next = values, 0

    def turn(self, batch):
        assert batch <= len(self.values), f"a batch of {batch} of {len(self.values)} inputs"
        start = 0 if self.next + batch > len(self.values) else self.next
        self.next = start + batch
        return self.values[start : self.next]


def unit(features):
    features = np.asarray(features, np.float32)
    return features / np.linalg.norm(features, axis=-1, keepdims=True)


def timed(embed, inputs, batch, repeat):
    seconds = []
    for _ in range(repeat):
        values = inputs.turn(batch)
        began = time.perf_counter()
        unit(embed(values))
        seconds.append(time.perf_counter() - began)
    return seconds


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("engine", help="module of engines/")
    arguments.add_argument("--precision", required=True)
    arguments.add_argument("--threads", type=int, required=True)
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--inputs", type=Path, required=True)
    arguments = arguments.parse_args()

    # Answers go to standard output; the output of libraries goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    images = np.fromfile(arguments.inputs / IMAGES, "<f4").reshape(-1, 3, 224, 224)
    tokens = np.array(json.loads((arguments.inputs / TOKENS).read_text()), np.int64)
    inputs = {"images": Inputs(images), "texts": Inputs(tokens)}

    module = importlib.import_module(f"engines.{arguments.engine}")
    engine = module.Engine(arguments.model, arguments.inputs, arguments.precision, arguments.threads)
    embed = {"images": engine.images, "texts": engine.texts}
    answer({"version": module.VERSION, "detail": engine.detail, "kernels": engine.kernels})

    for line in sys.stdin:
        ((request, fields),) = json.loads(line).items()
        kind, batch = fields["kind"], fields["batch"]
        if request == "time":
            answer({"seconds": timed(embed[kind], inputs[kind], batch, fields["repeat"])})
        elif request == "embed":
            values = inputs[kind].values
            parts = [unit(embed[kind](values[at : at + batch])) for at in range(0, len(values), batch)]
            np.concatenate(parts).astype("<f4").tofile(fields["path"])
            answer({})
        else:
            raise ValueError(f"unknown request {request}")


if __name__ == "__main__":
    main()
