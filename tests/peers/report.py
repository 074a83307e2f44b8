"""The figures as Markdown, for the terminal and for docs/performance.md."""

from figures import text_case
from rounds import PRECISIONS
from work import operations, operations_as_written

BEGIN = "<!-- Written by `make bench-peers`; the text between the two marks is replaced. -->"
END = "<!-- End of what `make bench-peers` writes. -->"


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
        share = figures.share_of_peak(contestant.key, contestant.precision, case)
        return f"{share.median:.2f}" if share else "–"

    return by_case(figures, contestants, cases, cell)


def peaks(figures, instructions, threads):
    rates, images = ([f"{number}T, {unit}" for number in threads] for unit in ("10⁹ operations/s", "images/s"))
    head = ["", *rates, *images]
    rows = []
    for precision in PRECISIONS:
        found = [figures.peak(precision, number) for number in threads]
        if None in found:
            rows.append([f"{precision}: not available", *["–"] * (2 * len(threads))])
        else:
            cells = [f"{rate / 1e9:.0f}" for rate in found] + [f"{rate / operations():.0f}" for rate in found]
            rows.append([f"{precision}: `{instructions[precision]}`", *cells])
    return table(head, rows)


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


def ratios(aims):
    rows = []
    for aim in aims:
        cells = ["–", "–", "not measured"]
        if aim.found:
            cells = [
                f"{aim.found.median:.2f}",
                f"{aim.found.least:.2f} to {aim.found.greatest:.2f}",
                "yes" if aim.found.median >= aim.hoped else "**no**",
            ]
        rows.append([aim.what, f"{aim.hoped:.2f}", *cells])
    return table(["ratio of speeds", "aim", "median", "all rounds", "reached"], rows)


def counted_work():
    return (
        f"{operations() / 1e9:.2f} · 10⁹ operations an image ({operations_as_written() / 1e9:.2f} if the last layer "
        "computes every row)"
    )


def between_marks(document, text):
    """`document` with `text` between the marks, which it has exactly once."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"
