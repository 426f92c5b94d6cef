//! The programs: loaded from the embedded object, attached once, replaced in place by a later daemon.
//!
//! Invariant: a hook that was attached is never without a program, not even while it is replaced. Cgroup links take another program
//! (BPF_LINK_UPDATE); tracepoint links cannot, so the new one is attached beside the old and its pin takes the old one's name;
//! both do the same meanwhile.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    programs::{CgroupAttachMode, Program, ProgramError, links::FdLink},
};
use gateway_common::names;

use super::{error::KernelError, host::Layout, pins::Pins};
use crate::sys;

/// The object that `cargo xtask ebpf` has built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../gateway-ebpf/prebuilt/tollgate.bpf.o"
));

/// SHA-256 of the embedded object, in hexadecimal.
#[must_use]
pub fn object_digest() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, OBJECT);
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Map sizes and kernel structures that are only known on the running host.
pub(super) struct Parameters {
    /// The kernel's structures.
    pub(super) layout: Layout,
    /// Map sizes by name.
    pub(super) sizes: Vec<(&'static str, u32)>,
}

/// The loaded programs.
pub(super) struct Programs {
    ebpf: Ebpf,
}

impl Programs {
    /// Loads the object, with the maps that are pinned or with new ones that then are.
    pub(super) fn load(pins: &Pins, parameters: &Parameters) -> Result<Self, KernelError> {
        let pinned = names::MAPS.map(|name| (name, pins.map(name)));
        Self::load_with(parameters, &pinned)
    }

    /// Loads the object with maps of its own and lets it go again; how many programs it takes, not counting those that only some kernels take.
    pub(super) fn probe(parameters: &Parameters) -> Result<usize, KernelError> {
        let programs = Self::load_with(parameters, &[])?.ebpf.programs().count();
        Ok(programs - names::LSM.len())
    }

    fn load_with(parameters: &Parameters, pinned: &[(&str, PathBuf)]) -> Result<Self, KernelError> {
        let mut loader = EbpfLoader::new();
        for (name, pin) in pinned {
            loader.map_pin_path(name, pin);
        }
        for ((global, ..), offset) in names::OFFSETS.iter().zip(&parameters.layout.offsets) {
            loader.override_global(global, offset, true);
        }
        loader.override_global(names::HAS_MPTCP.0, &parameters.layout.has_mptcp, true);
        for (map, size) in &parameters.sizes {
            loader.map_max_entries(map, *size);
        }
        let mut programs = Self {
            ebpf: loader
                .load(OBJECT)
                .map_err(|error| refused("the object", &error))?,
        };
        programs.verify()?;
        Ok(programs)
    }

    /// The loaded object, to take the maps from.
    pub(super) fn object(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Attaches everything that is attached once: lineage first, redirection last.
    pub(super) fn attach(&mut self, pins: &Pins, root: &File) -> Result<(), KernelError> {
        for (name, _) in names::TRACEPOINTS {
            self.place(name, None, &pins.link(name))?;
        }
        for name in names::ROOT_PROGRAMS {
            self.place(name, Some(root), &pins.link(name))?;
        }
        Ok(())
    }

    /// Attaches the egress program to a cgroup.
    pub(super) fn attach_egress(&mut self, cgroup: &File, pin: &Path) -> Result<(), KernelError> {
        self.place(names::EGRESS, Some(cgroup), pin)
    }

    /// Is the egress program still in force for a cgroup that was removed? It is as long as sockets that were made there are open, wherever
    /// their holders have gone (kernel/bpf/cgroup.c: each socket holds a reference, and with the last one the link loses its cgroup).
    pub(super) fn keeps_egress(&mut self, pin: &Path) -> Result<bool, KernelError> {
        let name = names::EGRESS;
        let program = self.program(name)?;
        let fd = program.fd().map_err(|error| rejected(name, error))?;
        let updated = sys::bpf::open_pin(pin)
            .and_then(|link| sys::bpf::update_link(link.as_fd(), fd.as_fd()));
        match updated.map_err(|error| (error.raw_os_error(), error)) {
            Ok(()) => Ok(true),
            Err((Some(nix::libc::ENOLINK | nix::libc::ENOENT), _)) => Ok(false),
            Err((_, source)) => Err(KernelError::Attach {
                program: name.into(),
                source,
            }),
        }
    }

    /// The number of a loaded program.
    pub(super) fn id(&self, name: &str) -> Result<u32, KernelError> {
        let missing = || KernelError::Rejected {
            program: name.into(),
            reason: "it is not in the object".into(),
        };
        let program = self.ebpf.program(name).ok_or_else(missing)?;
        let info = program.info().map_err(|error| KernelError::Rejected {
            program: name.into(),
            reason: error.to_string(),
        })?;
        Ok(info.id())
    }

    fn verify(&mut self) -> Result<(), KernelError> {
        let btf = Btf::from_sys_fs().map_err(|error| KernelError::Rejected {
            program: "type information".into(),
            reason: error.to_string(),
        })?;
        for name in names::ROOT_PROGRAMS.into_iter().chain([names::EGRESS]) {
            let loaded = match self.program(name)? {
                Program::CgroupSockAddr(program) => program.load(),
                Program::CgroupSock(program) => program.load(),
                Program::CgroupSkb(program) => program.load(),
                Program::SockOps(program) => program.load(),
                other => return Err(unexpected(name, other)),
            };
            loaded.map_err(|error| rejected(name, error))?;
        }
        for (name, tracepoint) in names::TRACEPOINTS {
            match self.program(name)? {
                Program::BtfTracePoint(program) => {
                    program
                        .load(tracepoint, &btf)
                        .map_err(|error| rejected(name, error))?;
                }
                other => return Err(unexpected(name, other)),
            }
        }
        Ok(())
    }

    /// Makes the program the one behind `pin`, attaching it where there is none yet.
    pub(super) fn place(
        &mut self,
        name: &'static str,
        target: Option<&File>,
        pin: &Path,
    ) -> Result<(), KernelError> {
        let failed = |source| KernelError::Attach {
            program: name.into(),
            source,
        };
        let program = self.program(name)?;
        if let (Some(_), Ok(link)) = (target, sys::bpf::open_pin(pin)) {
            let fd = program.fd().map_err(|error| rejected(name, error))?;
            match sys::bpf::update_link(link.as_fd(), fd.as_fd()) {
                Ok(()) => return Ok(()),
                // Somebody has detached it by force, or the cgroup is gone.
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOLINK) => {
                    fs::remove_file(pin).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let link = attach(program, target).map_err(|error| failed(cause(error)))?;
        let next = pin
            .with_extension("")
            .with_file_name(format!("{name}-next"));
        let path = if pin.exists() { &next } else { pin };
        // What a killed daemon has left half done.
        let _ = fs::remove_file(&next);
        link.pin(path)
            .map_err(|error| failed(io::Error::other(error)))?;
        if path != pin {
            fs::rename(path, pin).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn program(&mut self, name: &str) -> Result<&mut Program, KernelError> {
        self.ebpf
            .program_mut(name)
            .ok_or_else(|| KernelError::Rejected {
                program: name.into(),
                reason: "it is not in the object".into(),
            })
    }
}

/// Attaches and hands the link over. Links to a cgroup coexist with other programs there, whatever the mode says.
fn attach(program: &mut Program, target: Option<&File>) -> Result<FdLink, ProgramError> {
    let mode = CgroupAttachMode::Single;
    let invalid = |_| ProgramError::NotAttached;
    match (program, target) {
        (Program::CgroupSockAddr(program), Some(cgroup)) => {
            let id = program.attach(cgroup, mode)?;
            program.take_link(id)?.try_into().map_err(invalid)
        }
        (Program::CgroupSock(program), Some(cgroup)) => {
            let id = program.attach(cgroup, mode)?;
            program.take_link(id)?.try_into().map_err(invalid)
        }
        (Program::CgroupSkb(program), Some(cgroup)) => {
            let id = program.attach(cgroup, aya::programs::CgroupSkbAttachType::Egress, mode)?;
            program.take_link(id)?.try_into().map_err(invalid)
        }
        (Program::SockOps(program), Some(cgroup)) => {
            let id = program.attach(cgroup, mode)?;
            program.take_link(id)?.try_into().map_err(invalid)
        }
        (Program::Lsm(program), None) => {
            let id = program.attach()?;
            Ok(program.take_link(id)?.into())
        }
        (Program::BtfTracePoint(program), None) => {
            let id = program.attach()?;
            Ok(program.take_link(id)?.into())
        }
        _ => Err(ProgramError::NotAttached),
    }
}

fn refused(what: &str, error: &EbpfError) -> KernelError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    KernelError::Rejected {
        program: what.into(),
        reason,
    }
}

pub(super) fn rejected(name: &str, error: ProgramError) -> KernelError {
    match error {
        ProgramError::LoadError { io_error, .. }
            if io_error.raw_os_error() == Some(nix::libc::EPERM) =>
        {
            KernelError::Forbidden {
                action: format!("load {name}"),
            }
        }
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            // The verifier says what it objects to at the end, before its statistics.
            let log = verifier_log.to_string();
            let end: Vec<&str> = log.lines().rev().take(LOG_LINES).collect();
            let end = end.into_iter().rev().collect::<Vec<_>>().join("; ");
            KernelError::Rejected {
                program: name.into(),
                reason: format!("{io_error}: {end}"),
            }
        }
        ProgramError::Btf(error) => KernelError::Feature {
            feature: format!("the tracepoint of {name} ({error})"),
            option: "CONFIG_DEBUG_INFO_BTF=y",
        },
        other => KernelError::Rejected {
            program: name.into(),
            reason: other.to_string(),
        },
    }
}

fn cause(error: ProgramError) -> io::Error {
    match error {
        ProgramError::SyscallError(error) => error.io_error,
        other => io::Error::other(other),
    }
}

pub(super) fn unexpected(name: &str, program: &Program) -> KernelError {
    KernelError::Rejected {
        program: name.into(),
        reason: format!("unexpected type {:?}", program.prog_type()),
    }
}

const LOG_LINES: usize = 8;
