//! Starts a server for tests like a supervisor: with a listening socket that outlives it.

#![allow(dead_code, reason = "each test program uses its part")]

use std::fs::{self, File};
use std::io::Cursor;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use image::{ImageFormat, RgbImage};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;

/// Sets the milliseconds that an image takes in the model, for programs with the feature `fault-injection`.
pub const WAIT: &str = "PINTEREST_EMBEDDER_TEST_WAIT_MS";

pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pinterest-embedder"))
}

/// A directory with the tiny stand-in model.
pub fn model() -> &'static Path {
    static MODEL: LazyLock<PathBuf> = LazyLock::new(|| {
        // One for each test program: cargo may run them at the same time.
        let name = std::env::current_exe().unwrap();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.file_name().unwrap());
        init_model(&directory);
        directory
    });
    &MODEL
}

pub fn init_model(directory: &Path) {
    let made = program().args(["init-model", "--seed", "7", "--tiny", "--force"]).arg(directory).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// A PNG; different for every `number`.
pub fn picture(number: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(240, 300, |x, y| {
        let stripe = (x / (4 + u32::from(number)) + y / 16) % 2;
        image::Rgb([number.wrapping_mul(37), (stripe * 200) as u8, (y * 255 / 300) as u8])
    });
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

/// A PNG that takes no time to decode.
pub fn small_picture() -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    RgbImage::from_pixel(32, 32, image::Rgb([200, 150, 100])).write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

/// A PNG that takes some milliseconds to decode.
pub fn large_picture() -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    RgbImage::from_pixel(2000, 1500, image::Rgb([200, 150, 100])).write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

pub fn cosine(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(&left, &right)| f64::from(left) * f64::from(right)).sum()
}

/// A listening socket, and the server on it, if one runs. Killed when dropped.
pub struct Supervisor {
    directory: TempDir,
    listener: UnixListener,
    arguments: Vec<String>,
    kernel_lacks: BpfProgram,
    /// Additional time of each image in the model.
    wait: Duration,
    child: Option<Child>,
}

impl Supervisor {
    /// Starts a server with the tiny model and these further arguments.
    pub fn start(arguments: &[&str]) -> Self {
        Self::with_model(model(), arguments)
    }

    /// The same, with a filter that makes the kernel appear to lack these system calls.
    pub fn on_kernel_without(calls: &[i64], arguments: &[&str]) -> Self {
        let rules = calls.iter().map(|&call| (call, vec![])).collect();
        let lacks = SeccompAction::Errno(libc::ENOSYS as u32);
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, lacks, machine).unwrap();
        Self::start_on(filter.try_into().unwrap(), model(), arguments, Duration::ZERO)
    }

    pub fn with_model(model: &Path, arguments: &[&str]) -> Self {
        Self::start_on(BpfProgram::new(), model, arguments, Duration::ZERO)
    }

    /// The same as [`start`](Self::start), but each image takes so long. Requires the feature `fault-injection`.
    pub fn slow(wait: Duration, arguments: &[&str]) -> Self {
        Self::start_on(BpfProgram::new(), model(), arguments, wait)
    }

    fn start_on(kernel_lacks: BpfProgram, model: &Path, arguments: &[&str], wait: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let fixed = ["serve", "--listen-fd", "0", "--threads", "1", "--model"];
        let model = [model.to_str().unwrap()];
        let arguments = fixed.iter().chain(&model).chain(arguments);
        let mut supervisor = Self {
            directory,
            listener,
            arguments: arguments.map(|&argument| argument.to_owned()).collect(),
            kernel_lacks,
            wait,
            child: None,
        };
        supervisor.restart();
        supervisor
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Starts the next server on the same socket.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "one is running");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let listener = OwnedFd::from(self.listener.try_clone().unwrap());
        let mut command = program();
        command.args(&self.arguments).stdin(Stdio::from(listener)).stderr(log);
        command.env(WAIT, self.wait.as_millis().to_string());
        if !self.kernel_lacks.is_empty() {
            let filter = self.kernel_lacks.clone();
            // SAFETY: two system calls between fork and exec, on memory that was allocated before.
            #[allow(unsafe_code, reason = "a filter is inherited from whoever starts a program")]
            unsafe {
                command.pre_exec(move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other));
            }
        }
        self.child = Some(command.spawn().unwrap());
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until the server has ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// All that the servers wrote to standard error, except that they have loaded the model, and that its weights are untrained.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap();
        let usual = [": loaded model ", embedder::Model::UNTRAINED];
        log.split_inclusive('\n').filter(|line| usual.iter().all(|usual| !line.contains(usual))).collect()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
