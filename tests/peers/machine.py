"""What the figures were taken on."""

import os
import platform
from pathlib import Path

FLAGS = ["avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8"]


def processor():
    """One line, such as `AMD EPYC (family 26, model 2), 2 processors, avx2 avx512f avx512_bf16 avx512_vnni`."""
    fields = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    name = fields.get("model name", platform.machine())
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    found = [flag for flag in FLAGS if flag in fields.get("flags", "").split()]
    return ", ".join([name, f"{os.cpu_count()} processors", *([" ".join(found)] if found else [])])


def memory():
    """Such as `24 GB`."""
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"


def system():
    """Such as `Linux 6.1, glibc 2.36`."""
    release = ".".join(platform.release().split(".")[:2])
    return f"{platform.system()} {release}, {' '.join(platform.libc_ver())}"
