#!/usr/bin/env python3
"""Prepares the inputs of all engines once: the images as numbers, the texts as tokens, the weights as ONNX.

They are written to a directory with a hash of the weights and of this procedure, and made again if one of them changes.
Engines import the names of the files from here, so heavy modules are imported where they are used.
"""

import argparse
import hashlib
import json
import logging
import shutil
import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np

IMAGES = "images.f32"
TOKENS = "tokens.json"
VISION = "vision.onnx"
VISION_INT8 = "vision-int8.onnx"
TEXT = "text.onnx"
WEIGHTS_SHA256 = "weights_sha256"

HERE = Path(__file__).resolve().parent
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
    from PIL import Image
    from transformers import CLIPImageProcessorPil

    sys.path.insert(0, str(HERE.parent / "fixtures"))
    from make_pictures import scene

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


def write_onnx(model_directory, directory):
    """The two towers as ONNX files with variable batch size, and the vision tower in int8."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import CLIPModel

    class Vision(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.tower, self.projection = model.vision_model, model.visual_projection

        def forward(self, pixel_values):
            return self.projection(self.tower(pixel_values=pixel_values).pooler_output)

    class Text(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.tower, self.projection = model.text_model, model.text_projection

        def forward(self, input_ids):
            return self.projection(self.tower(input_ids=input_ids).pooler_output)

    def export(module, example, dynamic, name, path):
        torch.onnx.export(
            module.eval(),
            (example,),
            path,
            dynamic_shapes=(dynamic,),
            input_names=[name],
            output_names=["features"],
            dynamo=True,
            verbose=False,
        )

    # The exporter reports every step, and packages that it could also use.
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)

    model = CLIPModel.from_pretrained(model_directory).eval()
    batch, length = torch.export.Dim("batch", min=1, max=256), torch.export.Dim("length", min=2, max=77)
    export(Vision(model), torch.zeros(2, 3, 224, 224), {0: batch}, "pixel_values", directory / VISION)
    tokens = torch.tensor([[49406, 320, 1125, 49407]] * 2)
    export(Text(model), tokens, {0: batch, 1: length}, "input_ids", directory / TEXT)
    # Weights and activations of the products in 8 bits, but not the convolution, whose integer form is slower.
    quantize_dynamic(
        directory / VISION, directory / VISION_INT8, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8
    )


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
    state = digest(weights, Path(__file__), HERE / "requirements.txt")
    stamp = arguments.inputs / "state"
    if stamp.exists() and stamp.read_text() == state:
        return
    print("Preparing images, tokens and ONNX files", file=sys.stderr)
    shutil.rmtree(arguments.inputs, ignore_errors=True)
    arguments.inputs.mkdir(parents=True)
    images().tofile(arguments.inputs / IMAGES)
    (arguments.inputs / TOKENS).write_text(json.dumps(tokens(arguments.peer)))

    write_onnx(arguments.model, arguments.inputs)
    (arguments.inputs / WEIGHTS_SHA256).write_text(hashlib.sha256(weights.read_bytes()).hexdigest())
    stamp.write_text(state)


if __name__ == "__main__":
    main()
