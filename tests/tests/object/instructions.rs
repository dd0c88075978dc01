//! The loaded program as the kernel translated it, and how much stack its functions use: the
//! lowest offset from the frame pointer (r10) that an instruction reaches.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::programs::Xdp;

/// One BPF instruction.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The head of the kernel's `struct bpf_prog_info`, as far as it is needed.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_len: u32,
    translated_len: u32,
    jited: u64,
    translated: u64,
}

/// `union bpf_attr` of BPF_OBJ_GET_INFO_BY_FD.
#[repr(C)]
struct Attributes {
    fd: u32,
    info_len: u32,
    info: u64,
}

const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;

/// Every instruction of the program and of the functions that it calls.
pub(crate) fn translated(program: &Xdp) -> io::Result<Vec<Instruction>> {
    let fd = program.fd().map_err(io::Error::other)?.as_fd().as_raw_fd() as u32;
    let mut info = ProgramInfo::default();
    ask(fd, &mut info)?;
    let count = info.translated_len as usize / size_of::<Instruction>();
    let mut instructions = vec![Instruction::default(); count];
    let mut info = ProgramInfo {
        translated_len: info.translated_len,
        translated: instructions.as_mut_ptr() as u64,
        ..ProgramInfo::default()
    };
    ask(fd, &mut info)?;
    Ok(instructions)
}

fn ask(fd: u32, info: &mut ProgramInfo) -> io::Result<()> {
    let mut attributes = Attributes {
        fd,
        info_len: size_of::<ProgramInfo>() as u32,
        info: std::ptr::from_mut(info) as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes to `info`, and at most `translated_len`
    // bytes to `translated`, which the caller has allocated.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            &raw mut attributes,
            size_of::<Attributes>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

const FRAME_POINTER: u8 = 10;
const CLASS: u8 = 0x07;
const LOAD_MEMORY: u8 = 0x01;
const STORE_IMMEDIATE: u8 = 0x02;
const STORE: u8 = 0x03;
const CALL: u8 = 0x85;
const PSEUDO_CALL: u8 = 1;
const MOVE: u8 = 0xbf;
const ADD_IMMEDIATE: u8 = 0x07;

impl Instruction {
    fn destination(self) -> u8 {
        self.registers & 0xf
    }

    fn source(self) -> u8 {
        self.registers >> 4
    }

    /// Where this call goes, if it is one to a function of the program. The distance stands in the
    /// offset, because a just-in-time compiled program keeps the function's number in the immediate.
    fn target(self, at: usize) -> Option<usize> {
        let is_local = self.code == CALL && self.source() == PSEUDO_CALL;
        is_local.then(|| (at as i64 + 1 + i64::from(self.offset)) as usize)
    }
}

/// A function of the program: its frame, and what it calls.
#[derive(Debug)]
pub(crate) struct Function {
    start: usize,
    /// Bytes of stack of its own.
    pub(crate) frame: u32,
    callees: Vec<usize>,
}

/// Every function, in the order of the code; the first is the program.
pub(crate) fn functions(instructions: &[Instruction]) -> Vec<Function> {
    let calls = |(at, instruction): (usize, &Instruction)| instruction.target(at);
    let mut starts: Vec<usize> = instructions
        .iter()
        .enumerate()
        .filter_map(calls)
        .chain([0, instructions.len()])
        .collect();
    starts.sort_unstable();
    starts.dedup();
    starts
        .windows(2)
        .map(|range| Function {
            start: range[0],
            frame: frame(&instructions[range[0]..range[1]]),
            callees: (range[0]..range[1])
                .zip(&instructions[range[0]..range[1]])
                .filter_map(calls)
                .collect(),
        })
        .collect()
}

/// Bytes of stack of the deepest chain of calls, as the kernel adds them up: frames in steps of 32.
pub(crate) fn deepest_chain(functions: &[Function], start: usize) -> u32 {
    let Some(function) = functions.iter().find(|function| function.start == start) else {
        return 0;
    };
    let below = function
        .callees
        .iter()
        .map(|callee| deepest_chain(functions, *callee))
        .max();
    function.frame.next_multiple_of(32) + below.unwrap_or(0)
}

fn frame(function: &[Instruction]) -> u32 {
    let mut lowest = 0;
    for (at, instruction) in function.iter().enumerate() {
        let base = match instruction.code & CLASS {
            LOAD_MEMORY => instruction.source(),
            STORE_IMMEDIATE | STORE => instruction.destination(),
            _ => 0,
        };
        if base == FRAME_POINTER {
            lowest = lowest.min(i32::from(instruction.offset));
        }
        // `rX = r10; rX += -N`, possibly with something between.
        if instruction.code == MOVE && instruction.source() == FRAME_POINTER {
            let copy = instruction.destination();
            let sum = function[at + 1..]
                .iter()
                .take(8)
                .find(|next| next.destination() == copy && next.code == ADD_IMMEDIATE);
            lowest = lowest.min(sum.map_or(0, |sum| sum.immediate));
        }
    }
    lowest.unsigned_abs()
}
