"""Who takes part."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contestant:
    """An engine in one precision."""

    key: str
    name: str
    # Whose peak it is held against: f32, bf16 or int8.
    precision: str
    # Module of engines/ and what it calls its precision; None: an engine of crates/clip.
    module: str | None = None
    variant: str | None = None
    # Of crates/clip: which kernels; None: the fastest that the processor has.
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
    Contestant("clip-f32-avx2", "clip f32, AVX2 kernels", "f32", kernels="avx2", texts=True),
    Contestant("clip-f32", "clip f32", "f32", texts=True),
    Contestant("clip-bf16", "clip bf16", "bf16", texts=True),
    Contestant("clip-int8", "clip int8", "int8", texts=True),
]

# What the cosines are taken with.
REFERENCE = "torch-f32"
