//! Inputs that make the program misbehave, for tests of its clients.
//!
//! An image or text of `PINTEREST-EMBEDDER-FAULT:` and one of the words of [`inject`] does what the word means: an image in a
//! decoding thread, a text in the model's thread.

use std::hint::black_box;
use std::time::Duration;

use embedder::protocol::Response;
use embedder::{DIMENSION, ErrorKind, ModelFingerprint};
use rustix::process::{Resource, Signal, getpid, getrlimit, kill_process};

const PREFIX: &[u8] = b"PINTEREST-EMBEDDER-FAULT:";

/// An answer that a correct server does not send.
pub enum WrongAnswer {
    /// An embedding of this number alone.
    Embedding(f32),
    /// The header of an embedding and less than one.
    Short,
    /// Bytes that are not a frame.
    Garbage,
    /// The result of each attempt to leave the sandbox.
    Attempts(String),
}

impl WrongAnswer {
    pub fn frame(self, id: u64) -> Vec<u8> {
        let embedding = |value| {
            let model = ModelFingerprint::from_bytes([0; 32]);
            Response::Embedding { model, vector: Box::new([value; DIMENSION]), animated: false, thumbnail: None }
                .encode(id)
        };
        match self {
            Self::Embedding(value) => embedding(value),
            Self::Short => {
                let mut frame = embedding(1.0);
                frame.truncate(frame.len() - 4);
                let length = (frame.len() - 20) as u32;
                frame[16..20].copy_from_slice(&length.to_le_bytes());
                frame
            }
            Self::Garbage => vec![b'?'; 4096],
            Self::Attempts(message) => Response::Error { kind: ErrorKind::Inference, message }.encode(id),
        }
    }
}

/// Name of the variable with the milliseconds that an image takes, in place of the time of a full-size model.
const WAIT: &str = "PINTEREST_EMBEDDER_TEST_WAIT_MS";

/// Waits as long as a model takes for so many images, if a test has set that.
pub fn wait_for_images(count: usize) {
    let set = std::env::var(WAIT).ok().and_then(|text| text.parse().ok());
    std::thread::sleep(Duration::from_millis(set.unwrap_or(0)) * count as u32);
}

/// Executes `input` if it is such an input.
pub fn inject(input: &[u8]) -> Option<WrongAnswer> {
    let word = input.strip_prefix(PREFIX)?;
    #[cfg(target_os = "linux")]
    if let Some(paths) = word.strip_prefix(b"escape:") {
        return Some(WrongAnswer::Attempts(escape::attempts(&String::from_utf8_lossy(paths))));
    }
    #[cfg(target_os = "linux")]
    if let Some(path) = word.strip_prefix(b"read:") {
        return Some(WrongAnswer::Attempts(escape::read(&String::from_utf8_lossy(path))));
    }
    match word {
        b"abort" => std::process::abort(),
        b"bus" => die_of(Signal::BUS),
        b"exit" => std::process::exit(0),
        b"garbage" => Some(WrongAnswer::Garbage),
        b"hang" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        b"kill" => die_of(Signal::KILL),
        b"memory" => exhaust_memory(),
        // Raised by `panic_if_requested`, in place of a decoder.
        b"panic" => None,
        b"nan" => Some(WrongAnswer::Embedding(f32::NAN)),
        b"segfault" => die_of(Signal::SEGV),
        b"short" => Some(WrongAnswer::Short),
        b"stack-overflow" => {
            black_box(recurse(1));
            None
        }
        b"zero" => Some(WrongAnswer::Embedding(0.0)),
        _ => None,
    }
}

/// Attempts of a compromised decoder. Plain system calls, so that no library refuses them first.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the attempts are system calls, most of which no safe function makes")]
mod escape {
    use std::ffi::CString;
    use std::ptr::{null, null_mut};

    use libc::{c_int, c_long, syscall};

    /// `read0=errno` of opening a file, 0 if it succeeded.
    pub fn read(path: &str) -> String {
        let opened = std::fs::File::open(path);
        format!("read0={}", opened.err().and_then(|error| error.raw_os_error()).unwrap_or_default())
    }

    /// `name=errno` for each attempt, 0 if it succeeded. `paths` are separated by line breaks: files to read first, and
    /// last a directory to write in.
    pub fn attempts(paths: &str) -> String {
        let mut outcomes = Vec::new();
        let mut tried = |name: &str, result: c_long| {
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
            outcomes.push(format!("{name}={}", if result < 0 { errno } else { 0 }));
            result as c_int
        };
        let (files, directory) = paths.rsplit_once('\n').unwrap_or(("", paths));
        let path = |text: &str| CString::new(text).unwrap_or_default();
        let open = |text: &str, flags: c_int| {
            let path = path(text);
            // SAFETY: a NUL-terminated path, alive during the call.
            unsafe { syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600) }
        };
        for (number, file) in files.lines().enumerate() {
            tried(&format!("read{number}"), open(file, libc::O_RDONLY));
        }
        tried("list", open(directory, libc::O_RDONLY | libc::O_DIRECTORY));
        tried("create", open(&format!("{directory}/created"), libc::O_WRONLY | libc::O_CREAT));
        tried("append", open(files.lines().next().unwrap_or(directory), libc::O_WRONLY | libc::O_APPEND));
        let (first, other) = (path(files.lines().next().unwrap_or(directory)), path(&format!("{directory}/renamed")));
        let program = path("/bin/true");
        let how = [0u64; 3];
        // SAFETY: NUL-terminated paths and empty structures that live during the calls. A test expects every call that
        // could end or change this process to be refused.
        unsafe {
            tried("unlink", syscall(libc::SYS_unlinkat, libc::AT_FDCWD, first.as_ptr(), 0));
            tried(
                "rename",
                syscall(libc::SYS_renameat2, libc::AT_FDCWD, first.as_ptr(), libc::AT_FDCWD, other.as_ptr(), 0),
            );
            tried("chmod", syscall(libc::SYS_fchmodat, libc::AT_FDCWD, first.as_ptr(), 0o777));
            tried("openat2", syscall(libc::SYS_openat2, libc::AT_FDCWD, first.as_ptr(), how.as_ptr(), 24));
            tried("unix", syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0));
            tried("inet", syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0));
            tried("netlink", syscall(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0));
            tried("connect", syscall(libc::SYS_connect, 0, null::<u8>(), 0));
            let arguments = [program.as_ptr(), null()];
            let execve = syscall(libc::SYS_execve, program.as_ptr(), arguments.as_ptr(), null::<u8>());
            tried("execve", execve);
            for (name, call, arguments) in [
                ("fork", libc::SYS_clone, [libc::SIGCHLD as c_long, 0, 0, 0, 0]),
                ("clone3", libc::SYS_clone3, [how.as_ptr() as c_long, 0, 0, 0, 0]),
            ] {
                let [a, b, c, d, e] = arguments;
                let child = tried(name, syscall(call, a, b, c, d, e));
                if child == 0 {
                    // Reached only in a child that should not exist.
                    libc::_exit(0);
                }
            }
            let parent = libc::getppid();
            tried("ptrace", syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, parent, 0, 0));
            tried("readmem", syscall(libc::SYS_process_vm_readv, parent, null::<u8>(), 0, null::<u8>(), 0, 0));
            tried("kill", syscall(libc::SYS_kill, parent, 0));
            tried("pidfd", syscall(libc::SYS_pidfd_open, parent, 0));
            tried("memfd", syscall(libc::SYS_memfd_create, c"x".as_ptr(), 0));
            tried("mount", syscall(libc::SYS_mount, null::<u8>(), c"/".as_ptr(), null::<u8>(), 0, 0));
            tried("keyctl", syscall(libc::SYS_keyctl, 0, 0, 0, 0, 0));
            tried("bpf", syscall(libc::SYS_bpf, 0, null::<u8>(), 0));
            tried("perf", syscall(libc::SYS_perf_event_open, null::<u8>(), 0, -1, -1, 0));
            tried("uring", syscall(libc::SYS_io_uring_setup, 1, null_mut::<u8>()));
            tried("unshare", syscall(libc::SYS_unshare, libc::CLONE_NEWUSER));
            let executable = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            tried("wx", syscall(libc::SYS_mmap, 0, 4096, executable, flags, -1, 0));
        }
        outcomes.join(" ")
    }
}

/// Repeated, since the standard library's handler ignores the first signal outside of a stack overflow.
fn die_of(signal: Signal) -> ! {
    loop {
        let _ = kill_process(getpid(), signal);
    }
}

/// Panics in place of a decoder.
pub fn panic_if_requested(image: &[u8]) {
    if image.strip_prefix(PREFIX) == Some(b"panic") {
        panic!("as requested by {image:?}");
    }
}

fn exhaust_memory() -> ! {
    // Without a limit the machine would run out of memory.
    if getrlimit(Resource::As).current.is_none() {
        std::process::abort();
    }
    let mut hoard = Vec::new();
    loop {
        // Never written to: the limit is on address space, and the pages are not needed.
        hoard.push(black_box(Vec::<u8>::with_capacity(16 * 1024 * 1024)));
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 128]);
    if depth == 0 {
        return 0;
    }
    recurse(depth + 1) + frame[1]
}
