//! Limits system calls by seccomp.
//!
//! The filter is a list of allowed calls. Any other call fails with ENOSYS, as on a kernel that does not have it. Libraries
//! handle that (glibc starts threads by `clone` if `clone3` is missing), and calls of later kernels are denied from the
//! start. A denied call does not kill the process, so that an unusual attempt of a library costs no image.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Allowed with any arguments. None of them refers to a file, another process, a network address or a device.
const ALLOWED: &[c_long] = &[
    // Open descriptors. `accept4` requires a listening socket, and there is only one.
    libc::SYS_accept4,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_fstat,
    libc::SYS_getsockopt,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_write,
    libc::SYS_writev,
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    // Signals to itself.
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    // The process itself, and the time.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_nanosleep,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Waiting for the child that packs weights.
    libc::SYS_wait4,
    // Attributes of a file, not its content.
    libc::SYS_newfstatat,
    libc::SYS_readlinkat,
    libc::SYS_statx,
    // For `seal`. It can add restrictions, but not remove them.
    libc::SYS_seccomp,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
];

/// Denied once the model is loaded.
const SEALED: &[c_long] = &[libc::SYS_openat, libc::SYS_seccomp];

/// Limits this thread, and threads it starts, to the calls of a server. If it `removes` a socket, it may also unlink files.
pub fn restrict(removes: bool) -> Result<(), String> {
    let program = allowed(removes).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

/// See [`super::seal`].
pub fn seal() -> io::Result<()> {
    let rules = SEALED.iter().map(|&call| (call, vec![])).collect();
    let program = compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))
        .map_err(|error| io::Error::other(error.to_string()))?;
    // A second limit against starting processes, the only one if there is no filter. It does not apply to root.
    setrlimit(Resource::Nproc, Rlimit { current: Some(0), maximum: Some(0) })?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| io::Error::other(error.to_string()))
}

fn allowed(removes: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: Rules = ALLOWED.iter().map(|&call| (call, vec![])).collect();
    if removes {
        rules.insert(libc::SYS_unlinkat, vec![]);
        #[cfg(target_arch = "x86_64")]
        rules.insert(libc::SYS_unlink, vec![]);
    }
    let mut only = |call: c_long, conditions: Vec<SeccompCondition>| -> Result<(), seccompiler::BackendError> {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
        Ok(())
    };
    let own = u64::from(std::process::id());
    // Threads, but not processes. The flags of `clone3` are in memory, where a filter cannot check them.
    only(libc::SYS_clone, vec![has(0, libc::CLONE_THREAD as u64)?])?;
    only(libc::SYS_kill, vec![is(0, own)?])?;
    only(libc::SYS_tgkill, vec![is(0, own)?])?;
    only(libc::SYS_prlimit64, vec![is(0, 0)?])?;
    // No memory becomes executable.
    only(libc::SYS_mmap, vec![lacks(2, libc::PROT_EXEC as u64)?])?;
    only(libc::SYS_mprotect, vec![lacks(2, libc::PROT_EXEC as u64)?])?;
    // Data over a connection, but to no other address.
    only(libc::SYS_sendto, vec![lacks(4, u64::MAX)?])?;
    // For reading, as far as Landlock allows; not at all after `seal`.
    let writes = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    only(libc::SYS_openat, vec![lacks(2, writes as u64)?])?;
    for option in [libc::PR_SET_NAME, libc::PR_SET_NO_NEW_PRIVS, libc::PR_GET_DUMPABLE] {
        only(libc::SYS_prctl, vec![is(0, option as u64)?])?;
    }
    // The processor's tile registers, which a process may use only after it has asked.
    #[cfg(target_arch = "x86_64")]
    {
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const XFEATURE_XTILEDATA: u64 = 18;
        only(libc::SYS_arch_prctl, vec![is(0, ARCH_REQ_XCOMP_PERM)?, is(1, XFEATURE_XTILEDATA)?])?;
    }
    for command in [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD, libc::F_DUPFD_CLOEXEC] {
        only(libc::SYS_fcntl, vec![is(1, command as u64)?])?;
    }
    // The integer type differs between C libraries.
    #[allow(clippy::unnecessary_cast)]
    for request in [libc::FIONBIO as u64, libc::TCGETS as u64] {
        only(libc::SYS_ioctl, vec![is(1, request)?])?;
    }
    compile(rules, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow)
}

/// Calls of another architecture end the process; the program makes none.
fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let machine: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, listed, machine)?.try_into()
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn has(argument: u8, flag: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)
}

fn lacks(argument: u8, flag: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), 0)
}
