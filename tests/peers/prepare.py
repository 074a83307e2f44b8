#!/usr/bin/env python3
"""Makes once what every engine is given: the images as numbers, the texts as tokens, the weights as ONNX.

All of it goes to a directory named after the weights and this procedure, so that a change of either makes it anew.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from file_names import IMAGES, TOKENS, WEIGHTS_SHA256

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fixtures"))
from make_pictures import scene  # noqa: E402

# As many as the largest batch.
NUMBER_OF_IMAGES = 32
SIZES = [(600, 900), (640, 480), (736, 736), (564, 1003)]

# Eight tokens each, both marks included.
TEXTS = [
    "a barn wedding with string lights",
    "an old church by the river",
    "long wooden tables under oak trees",
    "a rooftop bar above the city",
    "candles and flowers on white linen",
    "a small garden full of roses",
    "guests are dancing on the beach",
    "the first snow on the mountains",
]
NUMBER_OF_TOKENS = 8


def images():
    """N x 3 x 224 x 224, float32: JPEGs of the sizes that pins have, through the reference's processor."""
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil()
    pixels = []
    for number in range(NUMBER_OF_IMAGES):
        file = BytesIO()
        scene(*SIZES[number % len(SIZES)], seed=number).save(file, "jpeg", quality=88)
        pixels.append(processor(Image.open(file), return_tensors="np").pixel_values[0])
    return np.stack(pixels).astype("<f4")


def tokens(peer):
    """The texts' tokens, by the tokenizer that tests compare with the reference's."""
    lines = subprocess.run([peer, "tokens", *TEXTS], check=True, capture_output=True, text=True).stdout.splitlines()
    lists = [json.loads(line) for line in lines]
    for text, found in zip(TEXTS, lists, strict=True):
        assert len(found) == NUMBER_OF_TOKENS, f"{text!r} has {len(found)} tokens, not {NUMBER_OF_TOKENS}"
    return lists


def digest(*paths):
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", type=Path, required=True, help="directory with config.json and model.safetensors")
    arguments.add_argument("--inputs", type=Path, required=True, help="directory to write to")
    arguments.add_argument("--peer", type=Path, required=True, help="the example program of crates/clip")
    arguments = arguments.parse_args()

    weights = arguments.model / "model.safetensors"
    state = digest(weights, Path(__file__), HERE / "onnx_files.py", HERE / "requirements.txt")
    stamp = arguments.inputs / "state"
    if stamp.exists() and stamp.read_text() == state:
        return
    print("Preparing images, tokens and ONNX files", file=sys.stderr)
    shutil.rmtree(arguments.inputs, ignore_errors=True)
    arguments.inputs.mkdir(parents=True)
    images().tofile(arguments.inputs / IMAGES)
    (arguments.inputs / TOKENS).write_text(json.dumps(tokens(arguments.peer)))

    import onnx_files

    onnx_files.write(arguments.model, arguments.inputs)
    (arguments.inputs / WEIGHTS_SHA256).write_text(hashlib.sha256(weights.read_bytes()).hexdigest())
    stamp.write_text(state)


if __name__ == "__main__":
    main()
