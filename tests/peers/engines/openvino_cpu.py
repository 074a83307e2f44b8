"""OpenVINO's CPU plugin for latency, on the ONNX files, with a model compiled for each batch size, which is fastest."""

from collections import Counter

import openvino

import instructions
import processor
from inputs import TEXT, VISION

VERSION = f"openvino {openvino.__version__.partition('-')[0]}"
TYPES = {"f32": openvino.Type.f32, "bf16": openvino.Type.bf16}


class Engine:
    def __init__(self, _model, inputs, precision, threads):
        self.directory, self.precision, self.threads = inputs, TYPES[precision], threads
        self.core = openvino.Core()
        self.requests = {}
        self.detail, self.kernels = "", None
        self._request(VISION, (8, 3, 224, 224))

    def _request(self, name, shape):
        if (name, shape) not in self.requests:
            model = self.core.read_model(self.directory / name)
            model.reshape(list(shape))
            options = {
                "INFERENCE_PRECISION_HINT": self.precision,
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                "ENABLE_CPU_PINNING": False,
            }
            compiled = self.core.compile_model(model, "CPU", options)
            # The hint is not binding; the compiled nodes contain the precision in use.
            nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
            products = [node for node in nodes if node["layerType"].astype(str) == "FullyConnected"]
            found = {node["runtimePrecision"].astype(str) for node in products}
            expected = self.precision.get_type_name()
            if found != {expected}:
                raise RuntimeError(f"products run in {', '.join(sorted(found))}, requested {expected}")
            if self.kernels is None:
                self.kernels = Counter(self._kernel(node["primitiveType"].astype(str)) for node in products)
            self.requests[name, shape] = compiled.create_infer_request()
        return self.requests[name, shape]

    @staticmethod
    def _kernel(name):
        """The name with an instruction set: MLAS, which it contains, does not report it."""
        if "mlas" not in name:
            return name
        return f"{name}, {instructions.of_mlas('f32', processor.flags(processor.read()))} (not reported)"

    def images(self, values):
        return self._request(VISION, values.shape).infer([values])[0]

    def texts(self, values):
        return self._request(TEXT, values.shape).infer([values])[0]
