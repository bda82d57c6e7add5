//! Starts the process of a node.
//!
//! The process leads its own process group, dies with the keeper, reads from nowhere, writes to two pipes, and inherits
//! exactly one more descriptor: its end of the socket pair. It must not know what is said on that socket.
#![allow(unsafe_code)]

use std::{
    ffi::{CString, c_char, c_int},
    io,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use dora_channel::os::packet;
use dora_message::{
    id::DataflowId,
    keeper::{NODE_CONFIG_ENV, NodeConfig},
    supervision::NodePlan,
};
use rustix::{
    process::{Pid, Resource, Rlimit},
    thread::{CpuSet, sched_setaffinity},
};

use crate::program;

/// What nodes get back of what the keeper changed for itself.
#[derive(Debug, Clone)]
pub(crate) struct Inheritance {
    open_files: Rlimit,
}

impl Inheritance {
    /// Raises the keeper's own limit of open files as far as allowed; nodes get the present one.
    pub(crate) fn keep_and_raise_limits() -> Self {
        let open_files = rustix::process::getrlimit(Resource::Nofile);
        let raised = Rlimit { current: open_files.maximum, ..open_files };
        let _ = rustix::process::setrlimit(Resource::Nofile, raised);
        Inheritance { open_files }
    }
}

/// A process that runs.
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    /// The keeper's end of the socket pair.
    pub(crate) socket: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// Starts the node; the error is a sentence for its user.
///
/// Must be called from the thread that lives as long as the keeper: the kernel kills the process when that thread ends.
pub(crate) fn spawn(
    dataflow_id: DataflowId,
    plan: &NodePlan,
    restart_count: u32,
    inheritance: &Inheritance,
) -> Result<Spawned, String> {
    let system = |error: io::Error| format!("the keeper cannot open a channel to it: {error}");
    let Some(program) = &plan.program else { return Err("nobody starts a dynamic node".to_owned()) };
    let (socket, node_end) = packet::pair().map_err(system)?;
    let config = NodeConfig { dataflow_id, node_id: plan.id.clone(), keeper_fd: node_end.as_raw_fd(), restart_count };
    let image = Image::new(program, plan, &config).map_err(|error| error.to_string())?;
    let child_setup = ChildSetup {
        keeper: rustix::process::getpid(),
        node_end: node_end.as_raw_fd(),
        open_files: raw_limit(&inheritance.open_files),
        cores: cores(&plan.cpu_affinity),
    };
    let mut command = Command::new(program);
    command.current_dir(&plan.working_dir).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: the closure runs in the child between fork and exec, where another thread may have held any lock: it makes
    // system calls only; everything it needs was allocated before.
    unsafe { command.pre_exec(move || child_setup.apply().and_then(|()| image.execute())) };
    let child = command.spawn().map_err(|error| program::explain(program, &plan.working_dir, &error))?;
    let pid = Pid::from_child(&child);
    match (child.stdout, child.stderr) {
        (Some(stdout), Some(stderr)) => Ok(Spawned { pid, socket, stdout: stdout.into(), stderr: stderr.into() }),
        _ => Err("its output could not be connected".to_owned()),
    }
}

/// Program, arguments and environment as exec wants them.
///
/// Executed directly, because the C library's search for a program hands what the kernel refuses to a shell: a binary of
/// another architecture would give a syntax error of `sh` instead of an error of ours.
struct Image {
    program: CString,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    /// What the pointers point into.
    _texts: Vec<CString>,
}

// SAFETY: the pointers point into heap blocks that the image owns and nobody changes.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

impl Image {
    fn new(program: &Path, plan: &NodePlan, config: &NodeConfig) -> io::Result<Self> {
        let program = CString::new(program.as_os_str().as_bytes())?;
        let mut texts = vec![program.clone()];
        for arg in &plan.args {
            texts.push(CString::new(arg.as_str())?);
        }
        let args = texts.len();
        let config = (NODE_CONFIG_ENV, serde_json::to_string(config)?);
        let inherited = plan.env.iter().filter(|(name, _)| name != NODE_CONFIG_ENV);
        for (name, value) in inherited.map(|(n, v)| (n.as_str(), v)).chain([(config.0, &config.1)]) {
            texts.push(CString::new(format!("{name}={value}"))?);
        }
        let pointers = |texts: &[CString]| texts.iter().map(|t| t.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Image { program, argv: pointers(&texts[..args]), envp: pointers(&texts[args..]), _texts: texts })
    }
    /// Becomes the program; returns only if the kernel refuses.
    fn execute(&self) -> io::Result<()> {
        // SAFETY: all pointers are to NUL-terminated strings that live in self, the arrays end with null.
        unsafe { libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        Err(io::Error::last_os_error())
    }
}

fn raw_limit(limit: &Rlimit) -> libc::rlimit {
    libc::rlimit {
        rlim_cur: limit.current.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: limit.maximum.unwrap_or(libc::RLIM_INFINITY),
    }
}

fn cores(numbers: &[u32]) -> Option<CpuSet> {
    let mut set = CpuSet::new();
    numbers.iter().filter(|core| (**core as usize) < CpuSet::MAX_CPU).for_each(|core| set.set(*core as usize));
    (set.count() > 0).then_some(set)
}

/// What the child does to itself before it becomes the program.
struct ChildSetup {
    keeper: Pid,
    node_end: RawFd,
    open_files: libc::rlimit,
    /// `None`: those of the keeper.
    cores: Option<CpuSet>,
}

impl ChildSetup {
    fn apply(&self) -> io::Result<()> {
        self.die_with_keeper()?;
        reset_signals()?;
        inherit_only(self.node_end)?;
        if let Some(cores) = &self.cores {
            // What this machine lacks was said when the plan was made; a node on other cores is better than none.
            let _ = sched_setaffinity(None, cores);
        }
        // SAFETY: the pointer is to a valid structure.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.open_files) })
    }
    fn die_with_keeper(&self) -> io::Result<()> {
        // SAFETY: this prctl takes a signal number and no pointers.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) })?;
        // A keeper that died before the call sends no signal.
        match rustix::process::getppid() == Some(self.keeper) {
            true => Ok(()),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

/// Exec resets handlers but keeps what is ignored and blocked.
fn reset_signals() -> io::Result<()> {
    for signal in 1..=64 {
        // SAFETY: the default action is no handler of ours; numbers that cannot be set give an error that is ignored.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set before sigprocmask reads it.
    check(unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    })
}

/// Whatever the keeper itself has inherited ends here; only standard input, output, error and `fd` survive exec.
fn inherit_only(fd: RawFd) -> io::Result<()> {
    // SAFETY: marks descriptors close-on-exec and closes none. A kernel older than 5.11 refuses, and then only what came
    // into the keeper without the mark goes on to the node.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u64, u64::from(u32::MAX), u64::from(libc::CLOSE_RANGE_CLOEXEC)) };
    // SAFETY: changes one flag of a descriptor that this process owns.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
