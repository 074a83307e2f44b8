//! The options of every command that loads a model.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;
use clip::{DeviceKind, Kernels, Options, Precision};

#[derive(Args)]
pub struct ModelArguments {
    /// Directory with config.json and model.safetensors
    #[arg(long = "model", value_name = "DIR")]
    pub directory: PathBuf,

    /// Precision of the matrix products: auto, f32, bf16 or int8; auto is bf16 where the processor multiplies it itself
    #[arg(long, value_name = "NAME", default_value_t)]
    precision: Precision,

    /// Code that multiplies matrices: candle, avx2 or avx512 [default: the fastest that this processor has]
    #[arg(long, value_name = "NAME")]
    kernels: Option<Kernels>,

    /// What computes: cpu, or cuda or metal in a build with that feature
    #[arg(long, value_name = "NAME", default_value_t)]
    device: DeviceKind,

    /// Threads to compute with [default: the number of processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl ModelArguments {
    /// A graphics processor computes.
    pub fn uses_graphics(&self) -> bool {
        self.device != DeviceKind::Cpu
    }

    /// How to compute. To be called before there are other threads.
    pub fn options(&self) -> Options {
        let threads = self.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        // SAFETY: no other thread runs yet, so nobody reads the environment meanwhile.
        #[allow(
            unsafe_code,
            reason = "rayon's pool and candle's split of the work have this variable in common, and no function"
        )]
        unsafe {
            std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
        }
        Options { precision: self.precision, kernels: self.kernels, device: self.device, threads }
    }
}
