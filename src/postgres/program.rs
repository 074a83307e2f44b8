//! Programs that server processes start: which of the server's files they keep, and how they end.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use crate::postgres::threads;

/// Between looks at a program that is about to end.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long the system may take to end a program that was killed. One that hangs in the kernel is left to it.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// Leaves the program standard input, output, error and `descriptor`; all else of the server's files closes at exec. The
/// server itself leaves some open to whatever it starts: data files, in Postgres 14 and 15. Between fork and exec.
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

/// Waits for a program's end, at most until then; `None` where it has not come. Interrupts are handled.
pub fn wait_for_end(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            None if Instant::now() < until => threads::wait(None, Some(LOOK_AGAIN)),
            ended => return Ok(ended),
        };
    }
}

/// Kills a program, and with `group` whatever it has started, and waits a moment until it is gone. Handles no interrupts:
/// it is what comes before the end of this process.
pub fn kill(child: &mut Child, group: bool) {
    if let (true, Ok(group)) = (group, i32::try_from(child.id())) {
        // SAFETY: the process group that was made for the program; it is not reaped yet, or nothing of it is left.
        unsafe { libc::killpg(group, libc::SIGKILL) };
    }
    // Fails where it has been reaped already.
    let _ = child.kill();
    let until = Instant::now() + LAST_BREATH;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}
