"""The figures in docs/performance.md: between two marks, one section for each kind of processor."""

BEGIN = "<!-- Written by `make bench-peers`, which replaces the section of the processor it runs on. -->"
END = "<!-- End of what `make bench-peers` writes. -->"
HEADING = "### "


def with_figures(document, kind, text):
    """`document` with `text` as the section of the kind of processor; the other sections remain as they are.

    Headings in the text are of a lower level than the section's.
    """
    before, begin, rest = document.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"the document lacks the marks {BEGIN} and {END}, or has them twice")
    found = sections(inside)
    found[kind] = text.strip()
    parts = [f"{HEADING}{name}\n\n{body}" for name, body in found.items()]
    return before + "\n\n".join([BEGIN, *parts, END]) + after


def sections(text):
    """The sections by the kind of processor, in their order."""
    found, name = {}, None
    for line in text.strip().splitlines():
        if line.startswith(HEADING):
            name = line.removeprefix(HEADING)
            if name in found:
                raise ValueError(f"the document has two sections {name}")
            found[name] = []
        elif name is not None:
            found[name].append(line)
        elif line.strip():
            raise ValueError(f"the document has figures of no processor: {line}")
    return {name: "\n".join(lines).strip() for name, lines in found.items()}
