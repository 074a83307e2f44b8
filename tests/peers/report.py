"""Evaluates the measurements, and writes them as Markdown for the terminal and for docs/performance.md."""

import os
import platform
import statistics
from dataclasses import dataclass

import numpy as np

from measure import Case

TORCH_BF16 = ["torch-bf16", "torch-bf16-autocast"]
MANY = Case(threads=2, kind="images", batch=8)

# Additions and multiplications of one image in ViT-B/32, counted from the shapes of its matrix products. A product of an
# N x K matrix with a vector is 2·N·K. Norms, softmax and GELU are left out: under one percent.
WIDTH, INNER, LAYERS, PATCHES, PATCH_VALUES, DIMENSION = 768, 3072, 12, 49, 3 * 32 * 32, 512
TOKENS = PATCHES + 1


def operations():
    """The operations that are needed: after keys and values, the last layer is only needed for the class row."""
    patches = PATCHES * product(WIDTH, PATCH_VALUES)
    full = layer(rows=TOKENS)
    last = layer(rows=1)
    return patches + (LAYERS - 1) * full + last + product(DIMENSION, WIDTH)


def operations_as_written():
    """The operations if every layer computes every row, as all the other engines do."""
    return PATCHES * product(WIDTH, PATCH_VALUES) + LAYERS * layer(rows=TOKENS) + product(DIMENSION, WIDTH)


def layer(rows):
    """One layer whose result is needed for `rows` of the tokens; keys and values are needed for all."""
    keys_and_values = TOKENS * product(2 * WIDTH, WIDTH)
    query_and_output = rows * product(2 * WIDTH, WIDTH)
    attention = rows * 2 * product(TOKENS, WIDTH)
    perceptron = rows * 2 * product(INNER, WIDTH)
    return keys_and_values + query_and_output + attention + perceptron


def product(outputs, inputs):
    return 2 * outputs * inputs


def memory():
    """For example `24 GB`."""
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"


def system():
    """For example `Linux 6.1, glibc 2.36`."""
    release = ".".join(platform.release().split(".")[:2])
    return f"{platform.system()} {release}, {' '.join(platform.libc_ver())}"


@dataclass(frozen=True)
class Nearness:
    """Cosines with the reference: plain, and after the reference's mean was subtracted from both.

    Embeddings lie in a narrow cone, so that any two images have a high cosine; the centred one distinguishes them.
    """

    least: float
    mean: float
    centred_least: float
    centred_mean: float


def compared(vectors, reference):
    """How near two sets of unit vectors are, row by row."""
    vectors, reference = vectors.astype(np.float64), reference.astype(np.float64)
    plain = cosines(vectors, reference)
    centre = reference.mean(axis=0)
    centred = cosines(vectors - centre, reference - centre)
    return Nearness(plain.min(), plain.mean(), centred.min(), centred.mean())


def cosines(left, right):
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / lengths


@dataclass(frozen=True)
class Ratio:
    """Ratio of two engines in the same round: the median, and the extremes of all rounds."""

    median: float
    least: float
    greatest: float


class Figures:
    """Medians over rounds. A ratio is taken within each round, where its two sides were at most minutes apart."""

    def __init__(self, measured, instructions):
        """`instructions` by engine; without those that are not known."""
        self.measured, self.instructions = measured, instructions

    def has(self, engine, case):
        return (engine, case) in self.measured.seconds

    def seconds(self, engine, case):
        return statistics.median(self.measured.seconds[engine, case])

    def rate(self, engine, case):
        return case.batch / self.seconds(engine, case)

    def peak(self, instruction, threads):
        """Operations per second, or None if the CPU has no such instruction."""
        rates = [
            rate
            for (found, case), rates in self.measured.peaks.items()
            if found == instruction and case.threads == threads
            for rate in rates
        ]
        return statistics.median(rates) if rates else None

    def share_of_peak(self, engine, case):
        """Share of the peak of its instruction that was measured in the same round, for the operations that are needed."""
        peaks = self.measured.peaks.get((self.instructions.get(engine), case))
        if peaks is None or not self.has(engine, case):
            return None
        pairs = zip(self.measured.seconds[engine, case], peaks, strict=True)
        shares = [case.batch * operations() / seconds / peak for seconds, peak in pairs]
        return Ratio(statistics.median(shares), min(shares), max(shares))

    def speed_ratio(self, engine, other, case):
        """How many times as fast `engine` is as `other`."""
        pairs = zip(self.measured.seconds[engine, case], self.measured.seconds[other, case], strict=True)
        ratios = [theirs / ours for ours, theirs in pairs]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def fastest(self, engines, case):
        present = [engine for engine in engines if self.has(engine, case)]
        return min(present, key=lambda engine: self.seconds(engine, case), default=None)


def text_case(threads):
    return Case(threads, "texts", 1)


@dataclass(frozen=True)
class Aim:
    """An intended ratio of speeds, and the measured one; None if an engine was not measured."""

    title: str
    intended: float
    found: Ratio | None


def aims(figures, name):
    """The aims of crates/clip, each a ratio within one run. Those of bf16 depend on its instruction: AMX is faster than the
    memory behind it, so that no engine comes near its peak."""

    def faster(engine, others, case):
        other = figures.fastest(others, case)
        present = other is not None and figures.has(engine, case)
        return figures.speed_ratio(engine, other, case) if present else None

    torch = figures.fastest(TORCH_BF16, MANY) or TORCH_BF16[0]
    at = "8 images, 2 threads"
    tiles = figures.instructions.get("clip-bf16") == "tdpbf16ps tmm"
    to_openvino, to_torch, to_peak = (1.5, 2.0, 0.4) if tiles else (1.05, 1.3, 0.85)
    return [
        Aim(f"clip bf16 to {name('openvino-bf16')}, {at}", to_openvino, faster("clip-bf16", ["openvino-bf16"], MANY)),
        Aim(f"clip bf16 to {name(torch)} (the faster of two), {at}", to_torch, faster("clip-bf16", [torch], MANY)),
        Aim(f"clip bf16 to clip f32, {at}", 1.0, faster("clip-bf16", ["clip-f32"], MANY)),
        Aim(f"clip f32 to {name('onnxruntime-f32')}, {at}", 1.15, faster("clip-f32", ["onnxruntime-f32"], MANY)),
        Aim(f"clip bf16 to the peak of its instruction, {at}", to_peak, figures.share_of_peak("clip-bf16", MANY)),
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


def table(head, rows):
    """All columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def emphasised(contestant):
    return f"**{contestant.name}**" if contestant.ours else contestant.name


def by_case(figures, contestants, cases, cell):
    head = ["", *(f"{case.threads}T b{case.batch}" for case in cases)]
    rows = []
    for contestant in contestants:
        if any(figures.has(contestant.key, case) for case in cases):
            rows.append([emphasised(contestant), *(cell(contestant, case) for case in cases)])
    return table(head, rows)


def speeds(figures, contestants, cases):
    return by_case(figures, contestants, cases, lambda it, case: f"{figures.rate(it.key, case):.1f}")


def latencies(figures, contestants, cases):
    return by_case(figures, contestants, cases, lambda it, case: f"{figures.seconds(it.key, case) * 1e3:.1f}")


def shares(figures, contestants, cases):
    def cell(contestant, case):
        share = figures.share_of_peak(contestant.key, case)
        return f"{share.median:.2f}" if share else "–"

    return by_case(figures, contestants, cases, cell)


def peaks(figures, instructions, threads):
    rates, images = ([f"{number}T, {unit}" for number in threads] for unit in ("10⁹ operations/s", "images/s"))
    head = ["", *rates, *images]
    rows = []
    for instruction in instructions:
        name = f"{instruction['precision']}: `{instruction['name']}`"
        found = [figures.peak(instruction["name"], number) for number in threads]
        if None in found:
            rows.append([f"{name}, not available", *["–"] * (2 * len(threads))])
        else:
            cells = [f"{rate / 1e9:.0f}" for rate in found] + [f"{rate / operations():.0f}" for rate in found]
            rows.append([name, *cells])
    return table(head, rows)


def what_ran(figures, contestants, ready):
    """The kernels by their share, and the instruction whose peak the engine is compared with. `ready` by engine."""
    rows = [["", "instruction", "kernels", "details"], ["---"] * 4]
    for contestant in contestants:
        if contestant.key in ready:
            said = ready[contestant.key]
            total = sum(said["kernels"].values())
            kernels = sorted(said["kernels"].items(), key=lambda item: -item[1])
            names = [f"{name} ({weight / total:.0%})" if len(kernels) > 1 else name for name, weight in kernels]
            instruction = figures.instructions.get(contestant.key)
            rows.append(
                [
                    emphasised(contestant),
                    f"`{instruction}`" if instruction else "not known",
                    "; ".join(names),
                    said["detail"],
                ]
            )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def nearness(contestants, found):
    head = ["", "least", "mean", "centred, least", "centred, mean"]
    rows = []
    for contestant in contestants:
        if contestant.key in found:
            near = found[contestant.key]
            plain, centred = (near.least, near.mean), (near.centred_least, near.centred_mean)
            rows.append([emphasised(contestant), *(f"{it:.6f}" for it in plain), *(f"{it:.5f}" for it in centred)])
    return table(head, rows)


def texts(figures, contestants, threads, found):
    head = ["", *(f"{number}T, ms" for number in threads), "cosine, least", "centred, least"]
    rows = []
    for contestant in contestants:
        if all(figures.has(contestant.key, text_case(number)) for number in threads):
            times = [f"{figures.seconds(contestant.key, text_case(number)) * 1e3:.2f}" for number in threads]
            near = found.get(contestant.key)
            cosines = [f"{near.least:.6f}", f"{near.centred_least:.5f}"] if near else ["–", "–"]
            rows.append([emphasised(contestant), *times, *cosines])
    return table(head, rows)


def ratios(found):
    rows = []
    for aim in found:
        cells = ["–", "–", "not measured"]
        if aim.found:
            cells = [
                f"{aim.found.median:.2f}",
                f"{aim.found.least:.2f} to {aim.found.greatest:.2f}",
                "yes" if aim.found.median >= aim.intended else "**no**",
            ]
        rows.append([aim.title, f"{aim.intended:.2f}", *cells])
    return table(["ratio of speeds", "aim", "median", "all rounds", "reached"], rows)


def counted_work():
    return (
        f"{operations() / 1e9:.2f} · 10⁹ operations per image ({operations_as_written() / 1e9:.2f} if the last layer "
        "computes every row)"
    )
