//! Runs another process that packs the weights, since this one gives up the right to write.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clip::Options;
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// The process that packs. Dropping this kills it.
pub struct Packing(Option<Child>);

impl Packing {
    /// Starts it if the weights are not packed and checked, and the directory can be written. If it fails, loading the model
    /// reports why, or packs the weights into memory.
    pub fn start(model: &Path, options: &Options) -> Self {
        // Without a sandbox, loading writes the file.
        let wanted = cfg!(target_os = "linux")
            && clip::is_packed(model, options).is_ok_and(|packed| !packed)
            && accessat(CWD, model, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        Self(if wanted { spawn(model, options).ok() } else { None })
    }

    /// Waits until it has ended.
    pub fn wait(mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Packing {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts the running program, even if the file was replaced.
fn spawn(model: &Path, options: &Options) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["pack", "--if-needed", "--model"]).arg(model);
    command.args(["--precision", options.precision.name(), "--threads", &options.threads.to_string()]);
    if let Some(kernels) = options.kernels {
        command.args(["--kernels", kernels.name()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}
