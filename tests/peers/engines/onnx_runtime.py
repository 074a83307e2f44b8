"""ONNX Runtime on the CPU with all graph optimisations, its default; in int8 only the vision tower."""

import onnxruntime

import instructions
import processor
from inputs import TEXT, VISION, VISION_INT8

VERSION = f"onnxruntime {onnxruntime.__version__}"


class Engine:
    def __init__(self, _model, inputs, precision, threads):
        self.directory, self.threads = inputs, threads
        self.vision = self._session(VISION_INT8 if precision == "int8" else VISION)
        self.text = None
        self.detail = "dynamic quantisation" if precision == "int8" else ""
        # Its library of kernels.
        self.kernels = {f"MLAS {instructions.of_mlas(precision, processor.flags(processor.read()))} (not reported)": 1}

    def _session(self, name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(self.directory / name, options, providers=["CPUExecutionProvider"])

    def images(self, values):
        return self.vision.run(None, {"pixel_values": values})[0]

    def texts(self, values):
        if self.text is None:
            self.text = self._session(TEXT)
        return self.text.run(None, {"input_ids": values})[0]
