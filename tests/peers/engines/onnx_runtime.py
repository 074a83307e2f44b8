"""ONNX Runtime on the CPU with all graph optimisations, its default; in int8 only the vision tower."""

import onnxruntime

import processor
from inputs import TEXT, VISION, VISION_INT8

VERSION = f"onnxruntime {onnxruntime.__version__}"


class Engine:
    def __init__(self, _model, inputs, precision, threads):
        self.directory, self.threads = inputs, threads
        self.vision = self._session(VISION_INT8 if precision == "int8" else VISION)
        self.text = None
        self.detail = "dynamic quantisation" if precision == "int8" else ""
        self.kernels = {f"MLAS {self._instruction_set(precision)} (not reported)": 1}

    @staticmethod
    def _instruction_set(precision):
        """What MLAS, its library of kernels, chooses on this processor according to its source (platform.cpp)."""
        flags = processor.flags(processor.read())
        if precision == "int8":
            chosen = [("amx_int8", "AMX"), ("avx512_vnni", "AVX-512 VNNI"), ("avx_vnni", "AVX VNNI")]
        else:
            chosen = [("avx512f", "AVX-512"), ("fma", "AVX2")]
        return next((name for flag, name in chosen if flag in flags), "without these")

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
