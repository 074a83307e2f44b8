//! Programs that server processes start: the files that they inherit, and their end.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use crate::postgres::threads::{self, WaitEvent};

/// Between checks of a program that is about to end.
const CHECK_AGAIN: Duration = Duration::from_millis(20);
/// How long to wait for the end of a killed program. One that hangs in the kernel is left behind.
const KILL_TIMEOUT: Duration = Duration::from_millis(500);

/// Closes all files at exec, except standard input, output, error and `descriptor`. The server itself leaves some open to programs
/// that it starts: data files, in Postgres 14 and 15. Called between fork and exec.
pub fn keep_only(descriptor: Option<i32>) -> io::Result<()> {
    // SAFETY: system calls on plain integers.
    unsafe {
        #[cfg(target_os = "linux")]
        let marked = libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0;
        #[cfg(not(target_os = "linux"))]
        let marked = false;
        if !marked {
            for other in 3..libc::sysconf(libc::_SC_OPEN_MAX).clamp(3, 65_536) as i32 {
                libc::fcntl(other, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        if descriptor.is_some_and(|descriptor| libc::fcntl(descriptor, libc::F_SETFD, 0) == -1) {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Waits for a program's end until then; `None` if it has not ended. Handles interrupts.
pub fn wait_for_end(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            None if Instant::now() < until => threads::wait(WaitEvent::Program, None, Some(CHECK_AGAIN)),
            ended => return Ok(ended),
        };
    }
}

/// Kills a program, with `group` also the processes that it has started, and waits briefly for its end. Handles no interrupts, for
/// callers that are about to end this process.
pub fn kill(child: &mut Child, group: bool) {
    if let (true, Ok(group)) = (group, i32::try_from(child.id())) {
        // SAFETY: the process group that was made for the program; it is not reaped yet, or the group is empty.
        unsafe { libc::killpg(group, libc::SIGKILL) };
    }
    // Fails if it has been reaped already.
    let _ = child.kill();
    let until = Instant::now() + KILL_TIMEOUT;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}
