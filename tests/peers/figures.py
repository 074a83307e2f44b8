"""What the rounds say together."""

import statistics
from dataclasses import dataclass

from rounds import Case
from work import operations


@dataclass(frozen=True)
class Ratio:
    """Of two engines in the same round: the median, and the extremes of all rounds."""

    median: float
    least: float
    greatest: float


class Figures:
    """Medians over rounds. A ratio is taken within each round, where its two sides were minutes apart at most."""

    def __init__(self, measured):
        self.measured = measured

    def has(self, engine, case):
        return (engine, case) in self.measured.seconds

    def seconds(self, engine, case):
        return statistics.median(self.measured.seconds[engine, case])

    def rate(self, engine, case):
        return case.batch / self.seconds(engine, case)

    def peak(self, precision, threads):
        """Operations a second, or None where the processor has no such instruction."""
        rates = [
            rate
            for (found, case), rates in self.measured.peaks.items()
            if found == precision and case.threads == threads
            for rate in rates
            if rate is not None
        ]
        return statistics.median(rates) if rates else None

    def share_of_peak(self, engine, precision, case):
        """Of the peak measured beside it in the same round, for the work that cannot be left out."""
        peaks = self.measured.peaks.get((precision, case), [])
        shares = [
            case.batch * operations() / seconds / peak
            for seconds, peak in zip(self.measured.seconds[engine, case], peaks, strict=True)
            if peak is not None
        ]
        return Ratio(statistics.median(shares), min(shares), max(shares)) if shares else None

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
