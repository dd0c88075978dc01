//! The program that answers SYNs with cookies: a guest, without which everything else works.

use aya::{
    Ebpf,
    maps::ProgramArray,
    programs::{ProgramError, Xdp},
    util::KernelVersion,
};
use guard_common::abi::names;

use super::{attempts, load_error::LoadError};

/// May a program that calls functions of its own jump to another one? On x86-64 since Linux 5.10
/// (e411901c0b77), on arm64 since 6.0 (d4609a5d8c70).
pub(in crate::dataplane) fn can_jump() -> bool {
    cfg!(target_arch = "x86_64") || is_at_least(6, 0)
}

/// Does the kernel tell a program the MTU of an interface (34b2021cc616)?
pub(super) fn can_ask_mtu() -> bool {
    is_at_least(5, 12)
}

fn is_at_least(major: u8, minor: u8) -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(major, minor, 0))
}

/// Loads it and puts it where the main program jumps to.
///
/// # Errors
/// What the kernel says against it.
pub(super) fn load(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    let program = program(ebpf)?;
    attempts::load(|| program.load())?;
    let fd = program
        .fd()?
        .try_clone()
        .map_err(|error| LoadError::Program(ProgramError::IOError(error)))?;
    let map = ebpf
        .map_mut(names::PROGRAMS)
        .ok_or(LoadError::Map(names::PROGRAMS))?;
    let mut programs = ProgramArray::try_from(map).map_err(|_| LoadError::Map(names::PROGRAMS))?;
    programs
        .set(0, &fd, 0)
        .map_err(|_| LoadError::Map(names::PROGRAMS))
}

/// The program.
///
/// # Errors
/// When the object has none, which the build would have shown.
pub(super) fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, LoadError> {
    let program = ebpf
        .program_mut(names::ANSWER)
        .ok_or(LoadError::Map(names::ANSWER))?;
    Ok(program.try_into()?)
}
