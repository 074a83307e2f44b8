"""Which instruction multiplies in a kernel, by the kernel's name; for the share of that instruction's peak."""

# The names that peak/ in crates/clip/examples/peer gives them.
F32_AVX2, F32_AVX512 = "vfmadd231ps ymm", "vfmadd231ps zmm"
BF16_AVX512, BF16_AMX = "vdpbf16ps zmm", "tdpbf16ps tmm"
INT8_AVX512, INT8_AMX = "vpdpbusd zmm", "tdpbusd tmm"


def of_kernel(name, precision):
    """The instruction of the kernel, which multiplies numbers of the precision; None if the name does not tell.

    Names are those of oneDNN (`brg_matmul:avx10_1_512_amx`), OpenVINO (`brgemm_avx512_bf16`), MKL (with the processor that it
    has chosen kernels for) and this project (`avx512-bf16`).
    """
    name = name.lower()
    wide = any(part in name for part in ("avx512", "avx-512", "avx10"))
    if precision == "bf16" and "amx" in name:
        return BF16_AMX
    if precision == "int8" and "amx" in name:
        return INT8_AMX
    # The instruction sets that oneDNN has after the one with bfloat16 contain it.
    if precision == "bf16" and wide and any(part in name for part in ("bf16", "fp16", "avx10")):
        return BF16_AVX512
    if precision == "int8" and wide:
        return INT8_AVX512
    # bfloat16 is converted where the processor does not multiply it.
    if wide:
        return F32_AVX512
    if precision != "int8" and any(part in name for part in ("avx2", "advanced vector extensions 2", "candle")):
        return F32_AVX2
    # MKL on the processors of other vendors.
    if precision != "int8" and "intel(r) architecture processors" in name:
        return F32_AVX2
    return None


def of_mlas(precision, flags):
    """The instruction set for which MLAS, a part of ONNX Runtime, chooses its kernels according to its source (platform.cpp)."""
    if precision == "int8":
        chosen = [("amx_int8", "AMX"), ("avx512_vnni", "AVX-512 VNNI"), ("avx_vnni", "AVX VNNI")]
    else:
        chosen = [("avx512f", "AVX-512"), ("fma", "AVX2")]
    return next((name for flag, name in chosen if flag in flags), "without these")


def of_engine(kernels, precision):
    """The instruction of the kernels with the greatest sum of weights; None if that is not known."""
    weights = {}
    for name, weight in kernels.items():
        instruction = of_kernel(name, precision)
        weights[instruction] = weights.get(instruction, 0) + weight
    return max(weights, key=weights.get, default=None)


def products_in(log):
    """Seconds by kernel of the matrix products in what oneDNN and MKL print about each call."""
    seconds, processor = {}, ""
    for line in log.splitlines():
        name, found = None, 0.0
        if line.startswith("onednn_verbose,"):
            words = line.split(",")
            if "exec" in words and words[words.index("exec") + 2] in ("matmul", "inner_product", "convolution"):
                name, found = f"oneDNN {words[words.index('exec') + 3]}", float(words[-1]) / 1e3
        elif line.startswith("MKL_VERBOSE oneMKL"):
            # … for Intel(R) 64 architecture PROCESSOR, Lnx 2.60GHz …
            processor = line.partition(" architecture ")[2].rpartition("Hz ")[0].rpartition(", ")[0]
        elif line.startswith("MKL_VERBOSE ") and "GEMM" in line:
            time = line.rpartition(") ")[2].split()[0]
            for unit, factor in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)):
                if time.endswith(unit):
                    name = f"MKL {line.split()[1].partition('(')[0]} for {processor}"
                    found = float(time.removesuffix(unit)) * factor
                    break
        if name is not None:
            seconds[name] = seconds.get(name, 0.0) + found
    return seconds
