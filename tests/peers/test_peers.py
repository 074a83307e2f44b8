"""Tests of the parts that need no other engine: `python3 -m unittest discover -s tests/peers`."""

import unittest

import document
import instructions
import processor

AMD = "AMD EPYC, family 26, model 2, AVX-512 BF16"
INTEL = "Intel Xeon, family 6, model 143, AMX"


def page(*sections):
    inside = "".join(f"### {name}\n\n{text}\n\n" for name, text in sections)
    return f"# Performance\n\n### Not figures\n\n{document.BEGIN}\n\n{inside}{document.END}\n\n## After\n"


class Sections(unittest.TestCase):
    def test_the_first_figures_are_added(self):
        self.assertEqual(document.with_figures(page(), AMD, "fast\n"), page((AMD, "fast")))

    def test_another_processor_is_added_after_the_others(self):
        found = document.with_figures(page((AMD, "fast\n\n#### Aims\n\n| a |")), INTEL, "faster")
        self.assertEqual(found, page((AMD, "fast\n\n#### Aims\n\n| a |"), (INTEL, "faster")))

    def test_only_the_processors_own_section_is_replaced(self):
        before = page((AMD, "#### Aims\n\nold"), (INTEL, "#### Aims\n\nold"))
        self.assertEqual(document.with_figures(before, AMD, "new"), page((AMD, "new"), (INTEL, "#### Aims\n\nold")))
        self.assertEqual(document.with_figures(before, INTEL, "new"), page((AMD, "#### Aims\n\nold"), (INTEL, "new")))

    def test_replacing_by_the_same_changes_nothing(self):
        before = page((AMD, "one"), (INTEL, "two"))
        self.assertEqual(document.with_figures(before, AMD, "one"), before)

    def test_a_kind_that_begins_like_another_is_another(self):
        found = document.with_figures(page((AMD, "old")), AMD.removesuffix(" BF16"), "new")
        self.assertEqual(found, page((AMD, "old"), (AMD.removesuffix(" BF16"), "new")))

    def test_a_damaged_document_is_refused(self):
        whole = page((AMD, "one"))
        for damaged in [
            "",
            whole.replace(document.END, ""),
            whole.replace(document.BEGIN, ""),
            whole + whole,
            page((AMD, "one"), (AMD, "two")),
            whole.replace(f"### {AMD}\n", ""),
        ]:
            with self.assertRaises(ValueError):
                document.with_figures(damaged, INTEL, "new")

    def test_the_page_has_sections(self):
        path = processor.Path(__file__).resolve().parent.parent.parent / "docs" / "performance.md"
        text = path.read_text()
        inside = text.partition(document.BEGIN)[2].partition(document.END)[0]
        for kind, section in document.sections(inside).items():
            self.assertEqual(document.with_figures(text, kind, section), text)


class Kinds(unittest.TestCase):
    def test_kinds_of_processors(self):
        amd = {"vendor_id": "AuthenticAMD", "cpu family": "26", "model": "2", "model name": "AMD EPYC"}
        intel = {"vendor_id": "GenuineIntel", "cpu family": "6", "model": "143"}
        for fields, flags, kind in [
            (amd, "avx2 avx512f avx512_bf16 avx512_vnni", AMD),
            (intel | {"model name": "Intel(R) Xeon(R) Processor"}, "avx2 avx512f avx512_bf16 amx_bf16 amx_int8", INTEL),
            (intel, "avx2", "Intel, family 6, model 143, AVX2"),
            (intel, "sse2", "Intel, family 6, model 143, no AVX2"),
        ]:
            self.assertEqual(processor.kind(fields | {"flags": flags}), kind)

    def test_the_first_processor_counts(self):
        self.assertEqual(processor.fields("model\t: 2\nflags\t\t: avx2\n\nmodel\t: 3\n")["model"], "2")

    def test_processors_without_a_family_have_a_kind(self):
        kind = processor.kind({"CPU implementer": "0x41", "CPU part": "0xd40"})
        self.assertTrue(kind.endswith(", implementer 0x41, part 0xd40"), kind)


class Instructions(unittest.TestCase):
    def test_each_kernel_has_its_instruction(self):
        for name, precision, instruction in [
            ("candle", "f32", "vfmadd231ps ymm"),
            ("avx2", "f32", "vfmadd231ps ymm"),
            ("avx2", "bf16", "vfmadd231ps ymm"),
            ("avx512", "f32", "vfmadd231ps zmm"),
            ("avx512", "bf16", "vfmadd231ps zmm"),
            ("avx512", "int8", "vpdpbusd zmm"),
            ("avx512-bf16", "bf16", "vdpbf16ps zmm"),
            ("amx", "bf16", "tdpbf16ps tmm"),
            ("oneDNN brg_matmul:avx10_1_512_amx", "bf16", "tdpbf16ps tmm"),
            ("oneDNN brg_matmul:avx512_core_amx_fp16", "bf16", "tdpbf16ps tmm"),
            ("oneDNN brg_matmul:avx10_1_512", "bf16", "vdpbf16ps zmm"),
            ("oneDNN jit_bf16:avx512_core_bf16", "bf16", "vdpbf16ps zmm"),
            ("oneDNN brg_matmul:avx512_core", "bf16", "vfmadd231ps zmm"),
            ("oneDNN brg_matmul:avx10_1_512", "f32", "vfmadd231ps zmm"),
            ("brgemm_avx512_amx_bf16", "bf16", "tdpbf16ps tmm"),
            ("brgemm_avx512_bf16", "bf16", "vdpbf16ps zmm"),
            ("brgconv_avx512_1x1_f32", "f32", "vfmadd231ps zmm"),
            ("MKL SGEMM for Intel(R) Architecture processors", "f32", "vfmadd231ps ymm"),
            (
                "MKL SGEMM for Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) with support for INT8, BF16, "
                "FP16 (limited) instructions, and Intel(R) Advanced Matrix Extensions (Intel(R) AMX) with INT8 and BF16",
                "f32",
                "vfmadd231ps zmm",
            ),
            ("MLAS AMX (not reported)", "int8", "tdpbusd tmm"),
            ("MLAS AVX-512 VNNI (not reported)", "int8", "vpdpbusd zmm"),
            ("MLAS AVX VNNI (not reported)", "int8", None),
            ("gemm_mlas_f32, AVX2 (not reported)", "f32", "vfmadd231ps ymm"),
            ("ref:any", "f32", None),
        ]:
            self.assertEqual(instructions.of_kernel(name, precision), instruction, f"{name}, {precision}")

    def test_mlas_takes_the_best_that_the_processor_has(self):
        for precision, flags, expected in [
            ("f32", {"fma", "avx512f", "amx_int8"}, "AVX-512"),
            ("f32", {"fma"}, "AVX2"),
            ("int8", {"avx512_vnni", "amx_int8"}, "AMX"),
            ("int8", {"avx512_vnni"}, "AVX-512 VNNI"),
            ("int8", {"avx512f"}, "without these"),
        ]:
            self.assertEqual(instructions.of_mlas(precision, flags), expected)

    def test_the_instruction_is_that_of_most_of_the_work(self):
        kernels = {"avx512_bf16": 2, "brgemm_amx": 3, "jit:avx512_core_bf16": 2}
        self.assertEqual(instructions.of_engine(kernels, "bf16"), "vdpbf16ps zmm")
        self.assertIsNone(instructions.of_engine({"avx2": 1, "ref:any": 2}, "f32"))
        self.assertIsNone(instructions.of_engine({}, "f32"))

    def test_products_are_read_from_what_libraries_print(self):
        log = """\
onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost and bfloat16 support
onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,exec_time
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:bf16::blocked:abcd::f0,,768x3x32x32,6.25
onednn_verbose,v1,primitive,exec,cpu,convolution,jit_bf16:avx512_core_bf16,forward_training,src:bf16,,mb1_ic3,1.5
onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx10_1_512_amx,undef,src:bf16,,50x768:768x768,0.25
onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx10_1_512_amx,undef,src:bf16,,50x768:768x768,0.5
MKL_VERBOSE oneMKL 2024.0 Update 2 Product build 20240605 for Intel(R) 64 architecture Intel(R) AVX-512, with BF16, Lnx 2.60GHz lp64
MKL_VERBOSE SGEMM(T,N,768,50,768,0x7fff,0x7f34,768) 1.5ms CNR:OFF Dyn:0 FastMM:1 TID:0  NThr:1
MKL_VERBOSE SGEMM(T,N,50,32,64,0x7fff,0x563b,768) 500.00us CNR:OFF Dyn:0 FastMM:1 TID:0  NThr:1
MKL_VERBOSE SAXPY(64,0x7fff,0x563b,1) 2.0us CNR:OFF Dyn:0 FastMM:1 TID:0  NThr:1
"""
        found = instructions.products_in(log)
        self.assertEqual(
            {name: round(seconds, 9) for name, seconds in found.items()},
            {
                "oneDNN jit_bf16:avx512_core_bf16": 0.0015,
                "oneDNN brg_matmul:avx10_1_512_amx": 0.00075,
                "MKL SGEMM for Intel(R) AVX-512, with BF16": 0.002,
            },
        )


if __name__ == "__main__":
    unittest.main()
