//! What a caller may choose about the computation.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use candle_core::Device;

use crate::error::{Error, Inner};

/// Precision of the matrix products. Sums, norms, softmax and the residual stream are f32 in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// [`Bf16`](Self::Bf16) where the processor multiplies such numbers itself, else [`F32`](Self::F32).
    #[default]
    Auto,
    /// Equal to the reference up to the order of sums.
    F32,
    /// Weights and activations rounded to bfloat16.
    Bf16,
    /// Weights and activations as 8-bit integers with a scale per group. Its error depends on the weights: not measured on
    /// trained ones.
    Int8,
}

impl Precision {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Auto, Self::F32, Self::Bf16, Self::Int8];

    /// As it is written in settings and output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// Which code multiplies matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// candle-transformers: the reference, on every processor and device. f32 only.
    Candle,
    /// x86-64 with AVX2 and FMA. f32 and, unpacked to f32 on the way, bf16.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL. f32; bf16 and int8 where the processor also has BF16 and VNNI.
    Avx512,
}

impl Kernels {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Candle, Self::Avx2, Self::Avx512];

    /// As it is written in settings and output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Candle => "candle",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// The first CUDA device, in candle's f32. In builds with the feature `cuda`.
    Cuda,
    /// The first Metal device, in candle's f32. In builds with the feature `metal`.
    Metal,
}

impl DeviceKind {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::Metal];

    /// As it is written in settings and output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }

    pub(super) fn open(self) -> Result<Device, Error> {
        // In builds without its feature candle itself says so.
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0),
            Self::Metal => Device::new_metal(0),
        }
        .map_err(|error| Inner::Device { device: self.name(), source: error.into() }.into())
    }
}

/// How to compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Precision of the matrix products.
    pub precision: Precision,
    /// Which code multiplies matrices; `None`: the fastest that the processor has for the precision.
    pub kernels: Option<Kernels>,
    /// What computes.
    pub device: DeviceKind,
    /// Threads, the calling one included. candle's part of the work runs on rayon's global pool instead.
    pub threads: NonZeroUsize,
}

impl Default for Options {
    /// The fastest way on one thread.
    fn default() -> Self {
        Self { precision: Precision::Auto, kernels: None, device: DeviceKind::Cpu, threads: NonZeroUsize::MIN }
    }
}

/// A word that names none of the choices.
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

macro_rules! named {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(word: &str) -> Result<Self, UnknownName> {
                Self::ALL
                    .into_iter()
                    .find(|choice| choice.name() == word)
                    .ok_or_else(|| UnknownName { expected: Self::ALL.map(Self::name).join(", ") })
            }
        }
    };
}

named!(Precision);
named!(Kernels);
named!(DeviceKind);

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
