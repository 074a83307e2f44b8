"""What crates/clip wants to reach, each a ratio within one run."""

from dataclasses import dataclass

from figures import Ratio, text_case
from rounds import Case

TORCH_BF16 = ["torch-bf16", "torch-bf16-autocast"]
MANY = Case(threads=2, kind="images", batch=8)


@dataclass(frozen=True)
class Aim:
    """A ratio that was hoped for, and the one found; None if a side did not take part."""

    what: str
    hoped: float
    found: Ratio | None


def aims(figures, name):
    def faster(engine, others, case):
        other = figures.fastest(others, case)
        present = other is not None and figures.has(engine, case)
        return figures.speed_ratio(engine, other, case) if present else None

    torch = figures.fastest(TORCH_BF16, MANY) or TORCH_BF16[0]
    share = figures.share_of_peak("clip-bf16", "bf16", MANY) if figures.has("clip-bf16", MANY) else None
    at = "8 images, 2 threads"
    return [
        Aim(f"clip bf16 to {name('openvino-bf16')}, {at}", 1.05, faster("clip-bf16", ["openvino-bf16"], MANY)),
        Aim(f"clip bf16 to {name(torch)} (the faster of two), {at}", 1.3, faster("clip-bf16", [torch], MANY)),
        Aim(f"clip f32 to {name('onnxruntime-f32')}, {at}", 1.15, faster("clip-f32", ["onnxruntime-f32"], MANY)),
        Aim(f"clip bf16 to the processor's bf16 peak, {at}", 0.85, share),
        Aim(
            f"clip bf16 to {name('candle')}, a text of 8 tokens, 1 thread",
            4.0,
            faster("clip-bf16", ["candle"], text_case(1)),
        ),
        Aim(
            f"clip bf16 to {name('candle')}, a text of 8 tokens, 2 threads",
            4.0,
            faster("clip-bf16", ["candle"], text_case(2)),
        ),
    ]
