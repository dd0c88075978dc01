//! Taking the program off an interface, and making sure that it is off: some drivers refuse to let go
//! of it at an MTU that they take no program at (virtio_net of Linux 6.1), and the kernel then reports
//! an empty interface while the driver goes on filtering.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

use aya::programs::loaded_programs;

use super::why::LARGEST_SAFE_MTU;
use crate::{
    dataplane::pins::files::remove_if_there,
    failure::{Exit, Failure, from_io},
    host::{Interface, Network, mtu},
};

/// Commands of bpf(2) (linux/bpf.h).
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_LINK_DETACH: libc::c_long = 34;

/// What every Ethernet interface takes a program at.
const USUAL_MTU: u32 = 1500;
/// How long the kernel may take to let a program go; one that a daemon keeps ready has its id for a
/// second.
const PATIENCE: Duration = Duration::from_secs(3);

/// Has the MTU been raised since the driver took the program, beyond what it surely takes? `taken_at` is
/// the MTU of then, where it is known.
#[must_use]
pub fn is_mtu_raised(interface: &Interface, taken_at: Option<u32>) -> bool {
    interface.is_native()
        && interface.mtu > taken_at.map_or(LARGEST_SAFE_MTU, |mtu| mtu.max(USUAL_MTU))
}

/// Takes the link with this pin off an interface, and sees to it that its program is off.
///
/// # Errors
/// When the driver keeps the program, or the MTU that had to be lowered for this cannot be restored.
pub(in crate::dataplane) fn detach(
    pin: &Path,
    interface: &Interface,
    taken_at: Option<u32>,
) -> Result<(), Failure> {
    let lowered = if is_mtu_raised(interface, taken_at) {
        Some(LowMtu::set(interface, taken_at)?)
    } else {
        None
    };
    // Without this command the kernel takes the link apart some time after its last holder is gone.
    // A kernel that refuses it (the link may be dead already) does so when the pin goes.
    open_pin(pin).and_then(|link| detach_link(&link)).ok();
    remove_if_there(pin)?;
    let is_off = wait_until_off(interface);
    let restored = lowered.map_or(Ok(()), LowMtu::restore);
    is_off?;
    restored
}

/// These programs must be gone, since nothing that is ours holds them any more. A daemon may wait for the
/// lock of commands with one in its hands: whoever asks must not hold it.
///
/// # Errors
/// When it is still there: then a driver has kept it.
pub fn prove_gone(programs: &[(u32, String)]) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut there = Vec::new();
        for loaded in loaded_programs() {
            // Only root may ask; then the interfaces' own word is what is left.
            let Ok(loaded) = loaded else { return Ok(()) };
            there.push(loaded.id());
        }
        let Some((id, name)) = programs.iter().find(|(id, _)| there.contains(id)) else {
            return Ok(());
        };
        if Instant::now() > deadline {
            return Err(kept(name, *id));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn kept(name: &str, program: u32) -> Failure {
    Failure::new(
        Exit::Failed,
        format!(
            "{name}: THE DRIVER KEEPS THE PROGRAM (number {program}): it keeps filtering with the previous policy"
        ),
    )
    .help(format!(
        "`ip link set {name} mtu {USUAL_MTU}`, `guardctl enable --iface {name}` and `guardctl \
         disable` take it off; else restart the host"
    ))
}

fn wait_until_off(interface: &Interface) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = Network::read_without_routes()
            .map_err(|error| from_io("cannot read the interfaces", &error))?;
        let Some(xdp) = now.by_index(interface.index).and_then(|now| now.xdp) else {
            return Ok(());
        };
        if interface
            .xdp
            .is_none_or(|before| before.program != xdp.program)
        {
            // Somebody else's, or the one that is there next.
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(kept(&interface.name, xdp.program));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// An interface whose MTU is lowered for a moment.
struct LowMtu {
    index: u32,
    name: String,
    before: u32,
    is_restored: bool,
}

impl LowMtu {
    fn set(interface: &Interface, taken_at: Option<u32>) -> Result<Self, Failure> {
        let low = taken_at.unwrap_or(USUAL_MTU).max(USUAL_MTU);
        mtu::set(interface.index, low).map_err(|error| {
            from_io(
                format!(
                    "{}: cannot lower the MTU to {low}, which its driver needs to release the program",
                    interface.name
                ),
                &error,
            )
        })?;
        Ok(Self {
            index: interface.index,
            name: interface.name.clone(),
            before: interface.mtu,
            is_restored: false,
        })
    }

    fn restore(mut self) -> Result<(), Failure> {
        self.is_restored = true;
        mtu::set(self.index, self.before).map_err(|error| {
            from_io(
                format!("{}: cannot set the MTU to {} again", self.name, self.before),
                &error,
            )
            .help(format!("`ip link set {} mtu {}`", self.name, self.before))
        })
    }
}

impl Drop for LowMtu {
    fn drop(&mut self) {
        if !self.is_restored {
            mtu::set(self.index, self.before).ok();
        }
    }
}

/// `union bpf_attr` of `BPF_OBJ_GET`.
#[repr(C)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

fn open_pin(pin: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let attributes = ObjGet {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    let fd = bpf(BPF_OBJ_GET, &attributes)?;
    // SAFETY: the kernel has just opened this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `union bpf_attr` of `BPF_LINK_DETACH`.
#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

fn detach_link(link: &OwnedFd) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let attributes = LinkDetach {
        link_fd: link.as_raw_fd() as u32,
    };
    bpf(BPF_LINK_DETACH, &attributes).map(|_| ())
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are a live structure of the size that is given; the kernel only reads it
    // and what it points to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
