"""This machine's processor, and the kind of it, to which figures belong."""

import os
import platform
import re
from pathlib import Path

FLAGS = ["avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8"]

# The best of these distinguishes processors whose family and model are hidden, as in a virtual machine.
LEVELS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}
VENDORS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}
LINES = re.compile(r"EPYC|Ryzen|Xeon|Core|Ultra")


def fields(text):
    """The fields of the first processor in the text of /proc/cpuinfo."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def read():
    return fields(Path("/proc/cpuinfo").read_text())


def flags(found):
    return set(found.get("flags", "").split())


def kind(found):
    """For example `AMD EPYC, family 26, model 2, AVX-512 BF16`: processors of one kind have the same figures."""
    if "cpu family" not in found:
        parts = [f"{name} {found[f'CPU {name}']}" for name in ("implementer", "part") if f"CPU {name}" in found]
        return ", ".join([platform.machine(), *parts])
    vendor = VENDORS.get(found["vendor_id"], found["vendor_id"])
    line = LINES.search(found.get("model name", ""))
    level = next((name for flag, name in LEVELS.items() if flag in flags(found)), "no AVX2")
    name = f"{vendor} {line[0]}" if line else vendor
    return f"{name}, family {found['cpu family']}, model {found['model']}, {level}"


def description(found):
    """One line, for example `AMD EPYC (family 26, model 2), 2 processors, avx2 avx512f avx512_bf16 avx512_vnni`."""
    name = found.get("model name", platform.machine())
    if "cpu family" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    listed = [flag for flag in FLAGS if flag in flags(found)]
    return ", ".join([name, f"{os.cpu_count()} processors", *([" ".join(listed)] if listed else [])])
