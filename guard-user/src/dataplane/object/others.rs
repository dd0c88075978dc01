//! The program of frames of IPv6: without it they take the full path.

use aya::{
    Ebpf,
    maps::{MapData, ProgramArray},
    programs::{ProgramError, ProgramFd, Xdp},
};
use guard_common::abi::{form, names};

use super::{attempts, load_error::LoadError};

/// Loads it, and puts it and the main program where they jump to. The main one first, since nobody comes back to an
/// empty place then.
///
/// # Errors
/// What the kernel says against it.
pub(super) fn load(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    let back = fd(program(ebpf, names::INGRESS)?)?;
    let others = program(ebpf, names::OTHERS)?;
    attempts::load(|| others.load())?;
    let others = fd(others)?;
    let mut programs = places(ebpf)?;
    for (place, program) in [(form::BACK, &back), (form::OTHERS, &others)] {
        programs
            .set(place, program, 0)
            .map_err(|_| LoadError::Map(names::FORM_PROGRAMS))?;
    }
    Ok(())
}

/// Where they jump to.
///
/// # Errors
/// When the object has no such map, which the build would have shown.
pub(super) fn places(ebpf: &mut Ebpf) -> Result<ProgramArray<&mut MapData>, LoadError> {
    ebpf.map_mut(names::FORM_PROGRAMS)
        .and_then(|map| ProgramArray::try_from(map).ok())
        .ok_or(LoadError::Map(names::FORM_PROGRAMS))
}

/// A program by name.
///
/// # Errors
/// When the object has none, which the build would have shown.
pub(super) fn program<'o>(
    ebpf: &'o mut Ebpf,
    name: &'static str,
) -> Result<&'o mut Xdp, LoadError> {
    let program = ebpf.program_mut(name).ok_or(LoadError::Map(name))?;
    Ok(program.try_into()?)
}

fn fd(program: &Xdp) -> Result<ProgramFd, LoadError> {
    program
        .fd()?
        .try_clone()
        .map_err(|error| LoadError::Program(ProgramError::IOError(error)))
}
