//! The table of kernels: precision, processor, and the formats that compute them. The first that fits and pays is used.

use super::format::Kind;
use super::layout::Layout;
use super::pool::Pool;
use super::storage::Storage;
use crate::architecture::Architecture;
use crate::engine::{Engine, Kernels, ModelInfo, Precision};
use crate::error::Inner;

/// A precision on one kind of processor.
pub(in super::super) struct Variant {
    pub precision: Precision,
    pub kernels: Kernels,
    /// Name of the arithmetic in `pinterest.model` and in the packed file's name.
    pub name: &'static str,
    /// Required instructions, for errors.
    needed: &'static str,
    pub(super) kind: Kind,
    available: fn() -> bool,
    /// Whether they are faster than the later ones of the same precision; on the same machine always the same.
    pays: fn() -> bool,
    pub(super) build: fn(ModelInfo, Storage, Layout, Pool, usize) -> Box<dyn Engine>,
}

/// Whether the fast kernels can compute models of this shape.
pub(in super::super) fn fits(architecture: &Architecture) -> bool {
    Layout::fits(architecture)
}

/// Grouped int8. The name contains the size of the groups, on which the results depend.
const INT8_NAME: &str = "int8-g64";

/// All variants; for each precision the faster ones first.
#[cfg(target_arch = "x86_64")]
const VARIANTS: [Variant; 7] = {
    use super::format::{Bf16, F32, Format, Int8, UnpackedBf16};
    use super::model::Model;
    use super::simd::{Avx2, Avx512, Avx512Amx, Avx512Bf16, Avx512Vnni};

    macro_rules! variant {
        ($precision:ident, $kernels:ident, $name:expr, $needed:literal, $inner:ident<$simd:ident>, $edge:ident<$edge_simd:ident>) => {
            Variant {
                precision: Precision::$precision,
                kernels: Kernels::$kernels,
                name: $name,
                needed: $needed,
                kind: <$inner<$simd> as Format>::KIND,
                pays: || pays(Kernels::$kernels),
                available: || $simd::detect().is_some() && $edge_simd::detect().is_some(),
                build: |info, storage, layout, pool, patch| match ($simd::detect(), $edge_simd::detect()) {
                    (Some(inner), Some(edge)) => Box::new(Model::<$inner<$simd>, $edge<$edge_simd>>::new(
                        info,
                        storage,
                        layout,
                        (inner, edge),
                        pool,
                        patch,
                    )),
                    _ => unreachable!("chosen without checking the processor: this is a bug"),
                },
            }
        };
    }

    [
        variant!(Bf16, Amx, "bf16", "AMX with BF16", Bf16<Avx512Amx>, Bf16<Avx512Amx>),
        variant!(Bf16, Avx512Bf16, "bf16", "AVX-512 with BF16", Bf16<Avx512Bf16>, Bf16<Avx512Bf16>),
        variant!(Bf16, Avx512, "bf16", "AVX-512", UnpackedBf16<Avx512>, UnpackedBf16<Avx512>),
        variant!(Bf16, Avx2, "bf16", "AVX2 with FMA", UnpackedBf16<Avx2>, UnpackedBf16<Avx2>),
        variant!(F32, Avx512, "f32", "AVX-512", F32<Avx512>, F32<Avx512>),
        variant!(F32, Avx2, "f32", "AVX2 with FMA", F32<Avx2>, F32<Avx2>),
        variant!(Int8, Avx512, INT8_NAME, "AVX-512 with VNNI", Int8<Avx512Vnni>, F32<Avx512>),
    ]
};

/// Whether kernels that the processor has are worth using.
#[cfg(target_arch = "x86_64")]
fn pays(kernels: Kernels) -> bool {
    kernels != Kernels::Avx512Bf16 || super::simd::multiplies_bf16_fast()
}

/// Other processors use candle.
#[cfg(not(target_arch = "x86_64"))]
const VARIANTS: [Variant; 0] = [];

/// The variant for a precision and, if not `None`, for the kernels. `Ok(None)` means candle.
///
/// # Errors
///
/// If no variant fits the processor.
pub(in super::super) fn choose(precision: Precision, kernels: Option<Kernels>) -> Result<Option<Variant>, Inner> {
    choose_from(VARIANTS, precision, kernels, |variant| (variant.available)(), |variant| (variant.pays)())
}

fn choose_from<const COUNT: usize>(
    variants: [Variant; COUNT],
    precision: Precision,
    kernels: Option<Kernels>,
    available: impl Fn(&Variant) -> bool,
    pays: impl Fn(&Variant) -> bool,
) -> Result<Option<Variant>, Inner> {
    let asked = |variant: &Variant| match kernels {
        Some(kernels) => variant.kernels == kernels,
        None => pays(variant),
    };
    let mut needed = None;
    for variant in variants {
        let fits = match precision {
            // bfloat16 first, the same on all processors: docs/performance.md compares its speed with that of f32.
            Precision::Auto => matches!(variant.kind, Kind::Bf16 | Kind::F32),
            _ => variant.precision == precision,
        };
        if fits && asked(&variant) {
            if available(&variant) {
                return Ok(Some(variant));
            }
            needed = Some(variant.needed);
        }
    }
    let candle_will_do = matches!(precision, Precision::Auto | Precision::F32)
        && kernels.is_none_or(|kernels| kernels == Kernels::Candle);
    match (candle_will_do, needed) {
        (true, _) => Ok(None),
        (false, Some(needed)) => Err(Inner::Unsupported { precision: precision.name(), needed }),
        (false, None) => {
            let kernels = kernels.map_or("fast", Kernels::name);
            Err(Inner::NoKernels { precision: precision.name(), kernels, machine: std::env::consts::ARCH })
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "x86_64")]
    use std::io::Write;

    use super::*;

    /// The instructions of a processor, and whether those for bfloat16 are fast.
    #[derive(Clone, Copy)]
    struct Processor(&'static [&'static str], bool);

    const OLD: Processor = Processor(&[], false);
    const COMMON: Processor = Processor(&["AVX2 with FMA"], false);
    const WIDE: Processor = Processor(&["AVX2 with FMA", "AVX-512", "AVX-512 with VNNI"], false);
    const BF16: &[&str] = &["AVX2 with FMA", "AVX-512", "AVX-512 with VNNI", "AVX-512 with BF16"];
    /// AMD since Zen 4.
    const FAST: Processor = Processor(BF16, true);
    /// Intel, where a hypervisor hides AMX or the kernel refuses it.
    const SLOW: Processor = Processor(BF16, false);
    const TILES: Processor =
        Processor(&["AVX2 with FMA", "AVX-512", "AVX-512 with VNNI", "AVX-512 with BF16", "AMX with BF16"], false);

    fn chosen(processor: Processor, precision: Precision, kernels: Option<Kernels>) -> Result<String, String> {
        let available = |variant: &Variant| processor.0.contains(&variant.needed);
        let pays = |variant: &Variant| variant.kernels != Kernels::Avx512Bf16 || processor.1;
        match choose_from(VARIANTS, precision, kernels, available, pays) {
            Ok(None) => Ok("candle".to_owned()),
            Ok(Some(variant)) => Ok(format!("{} {}", variant.name, variant.kernels)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn each_processor_gets_the_fastest_it_has() {
        let int8 = Some("int8-g64 avx512");
        for (processor, f32, bf16, int8) in [
            (OLD, "candle", None, None),
            (COMMON, "f32 avx2", Some("bf16 avx2"), None),
            (WIDE, "f32 avx512", Some("bf16 avx512"), int8),
            (FAST, "f32 avx512", Some("bf16 avx512-bf16"), int8),
            (SLOW, "f32 avx512", Some("bf16 avx512"), int8),
            (TILES, "f32 avx512", Some("bf16 amx"), int8),
        ] {
            let found = |precision| chosen(processor, precision, None).ok();
            assert_eq!(found(Precision::Auto).as_deref(), bf16.or(Some(f32)));
            assert_eq!(found(Precision::F32).as_deref(), Some(f32));
            assert_eq!(found(Precision::Bf16).as_deref(), bf16);
            assert_eq!(found(Precision::Int8).as_deref(), int8);
            for precision in [Precision::Auto, Precision::F32] {
                assert_eq!(chosen(processor, precision, Some(Kernels::Candle)).as_deref(), Ok("candle"));
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_requested_kernel_is_used_or_refused() {
        let found = |processor, precision, kernels| chosen(processor, precision, Some(kernels));
        assert_eq!(found(FAST, Precision::Auto, Kernels::Avx2).as_deref(), Ok("bf16 avx2"));
        assert_eq!(found(FAST, Precision::F32, Kernels::Avx2).as_deref(), Ok("f32 avx2"));
        assert_eq!(found(SLOW, Precision::Bf16, Kernels::Avx512Bf16).as_deref(), Ok("bf16 avx512-bf16"));
        let refused = |precision, kernels| chosen(COMMON, precision, kernels).unwrap_err();
        assert_eq!(
            refused(Precision::Int8, None),
            "precision int8 requires AVX-512 with VNNI, which this processor does not have"
        );
        assert!(refused(Precision::F32, Some(Kernels::Avx512)).contains("requires AVX-512,"));
        assert!(refused(Precision::Bf16, Some(Kernels::Amx)).contains("requires AMX with BF16,"));
        assert!(refused(Precision::F32, Some(Kernels::Amx)).starts_with("no amx kernels"));
        assert!(refused(Precision::Bf16, Some(Kernels::Candle)).starts_with("no candle kernels"));
    }

    /// The choice of this machine, which is that of every start.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_choice_is_always_the_same() {
        let kernels = || choose(Precision::Auto, None).unwrap().map(|variant| variant.kernels);
        let first = kernels();
        assert!((0..10).all(|_| kernels() == first));
        // Shown also if the test passes: reports of tests say which kernels ran.
        for variant in VARIANTS {
            let (name, kernels) = (variant.name, variant.kernels);
            let line = match (variant.available)() {
                true => format!("tested: {name} by kernels {kernels}"),
                false => format!("skipped: no {}, so {name} by kernels {kernels} is not tested", variant.needed),
            };
            writeln!(std::io::stderr(), "{line}").unwrap();
        }
    }
}
