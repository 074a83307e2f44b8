"""transformers' CLIPModel on PyTorch, eager, with the library's choice of attention."""

import contextlib
import ctypes
import os
import tempfile

import numpy as np
import torch
import transformers
from transformers import CLIPModel

import instructions

VERSION = f"torch {torch.__version__.partition('+')[0]}, transformers {transformers.__version__}"


class Engine:
    def __init__(self, model, _inputs, precision, threads):
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.model = CLIPModel.from_pretrained(model).eval()
        self.precision = precision
        # Two variants: weights rounded once, or rounded where torch decides (autocast).
        if precision == "bf16":
            self.model = self.model.to(torch.bfloat16)
        self.detail = f"{self.model.config._attn_implementation} attention, {torch.backends.cpu.get_cpu_capability()}"
        self.kernels = self._kernels()

    def _kernels(self):
        """The kernels that oneDNN and MKL report for a call, by their times."""
        values = np.zeros((8, 3, 224, 224), np.float32)
        self.images(values)
        flush = ctypes.CDLL(None).fflush
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            # They print to standard output.
            flush(None)
            output = os.dup(1)
            os.dup2(log.fileno(), 1)
            try:
                onednn, mkl = torch.backends.mkldnn, torch.backends.mkl
                with onednn.verbose(onednn.VERBOSE_ON), mkl.verbose(mkl.VERBOSE_ON):
                    self.images(values)
            finally:
                flush(None)
                os.dup2(output, 1)
                os.close(output)
            log.seek(0)
            return instructions.products_in(log.read())

    def _run(self, call, **inputs):
        autocast = self.precision == "bf16-autocast"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16) if autocast else contextlib.nullcontext():
            output = call(**inputs)
        return getattr(output, "pooler_output", output).float().numpy()

    def images(self, values):
        pixels = torch.from_numpy(values)
        if self.precision == "bf16":
            pixels = pixels.to(torch.bfloat16)
        return self._run(self.model.get_image_features, pixel_values=pixels)

    def texts(self, values):
        return self._run(self.model.get_text_features, input_ids=torch.from_numpy(values))
