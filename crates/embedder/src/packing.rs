//! Has the weights packed by another process, before this one gives up the right to write.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clip::Options;
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// The process that packs, killed when dropped before its end.
pub struct Packing(Option<Child>);

impl Packing {
    /// Starts it where the weights are not packed, or not known to be right, and the directory can be written. Where it
    /// fails, loading the model tells why, or does without.
    pub fn start(model: &Path, options: &Options) -> Self {
        // Where there is no sandbox, loading writes the file by itself.
        let wanted = cfg!(target_os = "linux")
            && clip::is_packed(model, options).is_ok_and(|packed| !packed)
            && accessat(CWD, model, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        Self(if wanted { spawn(model, options).ok() } else { None })
    }

    /// Waits for its end.
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

/// The program that runs, even if another has its name by now.
fn spawn(model: &Path, options: &Options) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["pack", "--if-needed", "--model"]).arg(model);
    command.args(["--precision", options.precision.name(), "--threads", &options.threads.to_string()]);
    if let Some(kernels) = options.kernels {
        command.args(["--kernels", kernels.name()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}
