//! Options of the computation.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// Gives an enum names, in settings and output, by which it is displayed and parsed.
macro_rules! named {
    ($type:ident { $($variant:ident = $name:literal),+ }) => {
        impl $type {
            /// All, in the order of their declaration.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name in settings and output.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(word: &str) -> Result<Self, UnknownName> {
                let found = Self::ALL.into_iter().find(|choice| choice.name() == word);
                found.ok_or_else(|| UnknownName { expected: [$($name),+].join(", ") })
            }
        }
    };
}

/// Precision of the matrix products. Sums, norms, softmax and the residual stream are f32 in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// [`Bf16`](Self::Bf16) on x86-64 with AVX2, else [`F32`](Self::F32).
    #[default]
    Auto,
    /// Equal to the reference up to the order of the sums.
    F32,
    /// Weights and activations rounded to bfloat16.
    Bf16,
    /// Weights and activations as 8-bit integers with a scale per group. The error depends on the weights, and is not measured
    /// on trained ones.
    Int8,
}

named!(Precision { Auto = "auto", F32 = "f32", Bf16 = "bf16", Int8 = "int8" });

/// The code that multiplies matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// candle-transformers: the reference, on every processor and device. f32 only. In builds with the feature `candle`.
    Candle,
    /// x86-64 with AVX2 and FMA. f32, and bf16 converted to f32.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL. f32, bf16 converted to f32, and int8 if the processor also has VNNI.
    Avx512,
    /// x86-64 with AVX-512 and its instructions for bfloat16. bf16 only.
    Avx512Bf16,
    /// x86-64 with AVX-512 and AMX. bf16 only.
    Amx,
}

named!(Kernels { Candle = "candle", Avx2 = "avx2", Avx512 = "avx512", Avx512Bf16 = "avx512-bf16", Amx = "amx" });

/// The device that computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The CPU.
    #[default]
    Cpu,
    /// The first CUDA device, in candle's f32. In builds with the feature `cuda`.
    Cuda,
    /// The first Metal device, in candle's f32. In builds with the feature `metal`.
    Metal,
}

named!(DeviceKind { Cpu = "cpu", Cuda = "cuda", Metal = "metal" });

/// Options of [`load`](crate::load).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Precision of the matrix products.
    pub precision: Precision,
    /// The code that multiplies matrices; `None` for the fastest on this processor in the precision.
    pub kernels: Option<Kernels>,
    /// The device that computes.
    pub device: DeviceKind,
    /// Number of threads, including the calling one. candle uses rayon's global pool instead.
    pub threads: NonZeroUsize,
}

impl Default for Options {
    /// The fastest on one thread.
    fn default() -> Self {
        Self { precision: Precision::Auto, kernels: None, device: DeviceKind::Cpu, threads: NonZeroUsize::MIN }
    }
}

/// A name that is not among the choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    expected: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "expected one of {}", self.expected)
    }
}

impl std::error::Error for UnknownName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        for kernels in Kernels::ALL {
            assert_eq!(kernels.to_string().parse(), Ok(kernels));
        }
        let message = "f16".parse::<Precision>().unwrap_err().to_string();
        assert_eq!(message, "expected one of auto, f32, bf16, int8");
    }
}
