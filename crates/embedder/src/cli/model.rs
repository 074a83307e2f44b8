//! The options of every command that loads a model.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clip::{DeviceKind, Kernels, Options, Precision};

#[derive(Args)]
pub struct ModelArguments {
    /// Directory that contains config.json and model.safetensors
    // Made absolute here: in the sandbox a process cannot get its working directory.
    #[arg(long = "model", value_name = "DIR", value_parser = PathBufValueParser::new().try_map(std::path::absolute))]
    pub directory: PathBuf,

    #[command(flatten)]
    pub compute: ComputeArguments,
}

/// The options of how a model computes.
#[derive(Args)]
pub struct ComputeArguments {
    /// Precision of the matrix products: auto, f32, bf16, or int8; auto is bf16 on x86-64 with AVX2, else f32
    #[arg(long, value_name = "NAME", default_value_t)]
    precision: Precision,

    /// Code that multiplies matrices: candle, avx2, avx512, avx512-bf16, or amx [default: the fastest on this CPU]
    #[arg(long, value_name = "NAME")]
    kernels: Option<Kernels>,

    /// Device: cpu, or in builds with that feature cuda or metal
    #[arg(long, value_name = "NAME", default_value_t)]
    device: DeviceKind,

    /// Number of threads that compute [default: the number of CPUs]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl ModelArguments {
    /// See [`ComputeArguments::uses_graphics`].
    pub fn uses_graphics(&self) -> bool {
        self.compute.uses_graphics()
    }

    /// See [`ComputeArguments::options`].
    pub fn options(&self) -> Options {
        self.compute.options()
    }
}

impl ComputeArguments {
    /// The same on the command line of another process.
    pub fn passed_on(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.into(), value.into()]);
        add("--precision", self.precision.to_string());
        add("--device", self.device.to_string());
        if let Some(kernels) = self.kernels {
            add("--kernels", kernels.to_string());
        }
        if let Some(threads) = self.threads {
            add("--threads", threads.to_string());
        }
        arguments
    }

    /// Whether a GPU computes.
    pub fn uses_graphics(&self) -> bool {
        self.device != DeviceKind::Cpu
    }

    /// The options for loading the model. Must be called before other threads start.
    pub fn options(&self) -> Options {
        let threads = self.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        // SAFETY: no other thread runs yet that could read the environment.
        #[allow(
            unsafe_code,
            reason = "both rayon's pool and candle read this variable, and neither has a function for it"
        )]
        unsafe {
            std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
        }
        Options { precision: self.precision, kernels: self.kernels, device: self.device, threads }
    }
}
