//! Putting guard into the kernel, keeping it there and taking it out. Order matters everywhere: a
//! policy is complete before the switch names it, the switch is set before a program is attached,
//! and a running program is only ever exchanged, never removed and put back.

use std::{fs, io::Read as _, thread, time::Duration};

use aya::programs::ProgramError;
use guard_common::abi::{
    ban::Sizes,
    counters::MAX_SHARDS,
    names,
    switch::{SlotState, SwitchWord},
};

use super::{
    adopt::{adopt, adopt_before},
    clock,
    crossing::Guarded,
    interface::{attach::attach, attachments::Attachments, attempt::AttachTarget, closed, egress},
    object::{
        Object,
        load_error::{LoadError, load_failure},
        parameters::{Parameters, Purpose, possible_cpus},
    },
    pins::{
        self,
        files::{is_interrupted, next_name, pin, remove_if_there},
    },
    preflight,
    removal::remove,
    rule_hits,
    spare::Spare,
    tables::{flows::FlowTable, slots::PolicySlots},
    takeover::{Change, take_over},
};
use crate::{
    failure::{Exit, Failure, from_io},
    host::{Network, sockets::has_unconnected_udp},
    layout::Layout,
    ruleset::compile::Image,
};

/// Smallest policy slot in words: 512 KB, room for hundreds of rules without growing.
const MIN_SLOT_WORDS: u32 = 1 << 16;

/// How long outgoing datagrams are watched before anything is dropped: an unconnected UDP socket is in
/// no table, only its packets tell whom it talks to.
const LEARNING: Duration = Duration::from_secs(1);

/// How long a policy that is put in force stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// Until the next change.
    Settled,
    /// Until this boot time in ns, unless somebody confirms it: then the policy from before
    /// returns by itself, or, if there was none, every packet passes.
    Until(u64),
}

/// Attaches guard with this policy to exactly these interfaces. If it runs already, the program is
/// exchanged without a gap and flows and counters stay.
///
/// # Errors
/// Whatever the kernel refuses; a first installation that fails leaves nothing behind.
pub fn install(
    layout: &Layout,
    image: &Image,
    targets: &[AttachTarget<'_>],
    network: &Network,
    term: Commitment,
) -> Result<Vec<Change>, Failure> {
    let is_first = pins::open(layout)?.is_none();
    let result = if is_first {
        install_first(layout, image, targets, network, term).map(|(_, changes)| changes)
    } else {
        exchange(layout, image, Some(targets), network, term)
            .and_then(|changes| closed::open_all(layout).map(|()| changes))
    };
    if is_first && result.is_err() {
        remove(layout)?;
    }
    result
}

/// Puts a policy into force on a running firewall.
///
/// # Errors
/// When the policy cannot be staged; the old one then stays in force.
pub fn apply(
    layout: &Layout,
    image: &Image,
    network: &Network,
    term: Commitment,
) -> Result<(), Failure> {
    let Some(running) = pins::open(layout)? else {
        return Err(Failure::new(Exit::Inactive, "guard is not active")
            .help("`guardctl enable` turns it on"));
    };
    if !is_interrupted(&layout.maps())
        && image.words.len() <= running.slots.capacity()
        && image.flow_buckets() == running.flows.buckets()
    {
        // What goes on behind NAT may be let in by a rule that is about to go.
        keep_sessions(layout, network, image);
        switch(layout, &running.slots, image, term)?;
        // What a killed command has left closed.
        return closed::open_all(layout);
    }
    exchange(layout, image, None, network, term).map(|_| ())
}

/// Makes the policy that is in force at this moment the settled one: after a deadline has passed,
/// or to confirm before it does.
///
/// # Errors
/// When the maps cannot be opened.
pub fn settle(layout: &Layout, state: SlotState) -> Result<(), Failure> {
    if let Some(running) = pins::open(layout)? {
        let switch = running.slots.switch();
        let other = if state == switch.active() {
            switch.previous()
        } else {
            switch.active()
        };
        running.slots.switch_to(SwitchWord::settled(state, other));
    }
    Ok(())
}

/// Completes an exchange whose command was killed between making larger maps and putting them in
/// place: every link gets a program with the policy that the maps in place say.
///
/// # Errors
/// As [`apply`].
pub fn complete(layout: &Layout, network: &Network) -> Result<(), Failure> {
    let Some(running) = pins::open(layout)?.filter(|_| is_interrupted(&layout.maps())) else {
        return Ok(());
    };
    let image = Image {
        words: running.slots.active_image(),
    };
    exchange(layout, &image, None, network, Commitment::Settled).map(|_| ())
}

/// Puts this version's program in the place of the one that runs, with the policy that is in force. `false` when
/// none runs.
///
/// # Errors
/// As [`apply`].
pub fn renew(layout: &Layout, network: &Network) -> Result<bool, Failure> {
    let Some(running) = pins::open(layout)? else {
        return Ok(false);
    };
    let image = Image {
        words: running.slots.active_image(),
    };
    exchange(layout, &image, None, network, Commitment::Settled).map(|_| true)
}

/// Returns to the policy that was active before `apply`, when what had to follow failed.
pub fn undo(layout: &Layout, before: SwitchWord) -> Result<(), Failure> {
    if let Some(running) = pins::open(layout)? {
        running.slots.switch_to(before);
    }
    Ok(())
}

/// Stages, checks and switches.
fn switch(
    layout: &Layout,
    slots: &PolicySlots,
    image: &Image,
    term: Commitment,
) -> Result<(), Failure> {
    if term != Commitment::Settled && slots.generation() == 0 {
        // The first policy of all: what it may have to give way to is no firewall at all.
        let open = slots.stage(&Image::open().words);
        slots.switch_to(SwitchWord::settled(open, open));
    }
    let previous = slots.in_force();
    rule_hits::leave(layout, slots, slots.free_slot());
    let staged = slots.stage(&image.words);
    if !slots.holds(staged, &image.words) {
        return Err(Failure::new(
            Exit::Failed,
            "the staged policy does not read back as written",
        ));
    }
    slots.switch_to(match term {
        Commitment::Settled => SwitchWord::settled(staged, previous),
        Commitment::Until(deadline_ns) => SwitchWord::pending(staged, previous, deadline_ns),
    });
    Ok(())
}

/// Puts a policy in force on no interface, where none is: the program that [`super::heal`] puts on
/// interfaces, one after the other, so that one that cannot carry it leaves no other open.
///
/// # Errors
/// As [`install`].
pub fn install_bare(layout: &Layout, image: &Image, network: &Network) -> Result<Spare, Failure> {
    let installed = install_first(layout, image, &[], network, Commitment::Settled)
        .and_then(|(object, _)| Spare::of(layout, object));
    if installed.is_err() {
        remove(layout)?;
    }
    installed
}

fn install_first(
    layout: &Layout,
    image: &Image,
    targets: &[AttachTarget<'_>],
    network: &Network,
    term: Commitment,
) -> Result<(Object, Vec<Change>), Failure> {
    let slot_words = slot_words_for(image);
    let (shards, own_shard) = shards();
    let parameters = Parameters {
        bans: Sizes::SMALLEST,
        slot_words,
        flow_buckets: image.flow_buckets(),
        shards,
        own_shard,
        seed: seed()?,
        purpose: Purpose::Filter,
        fixed_clock: false,
    };
    let mut object = Object::load(parameters, None).map_err(load_failure)?;
    let slots = object.slots().map_err(load_failure)?;
    slots.set_seed(parameters.seed);
    switch(layout, &slots, image, term)?;
    for name in names::MAPS {
        pin(&object, name, &layout.maps().join(name))?;
    }
    object.pin_programs(&layout.maps())?;
    pin_answer(&mut object, layout)?;
    pin_clock(&mut object, layout)?;
    // What goes out is seen first, then what goes on is looked up, and only then is anything
    // dropped. What began between the look and the first drop is found by the second look.
    let program = object.egress().map_err(load_failure)?;
    for target in targets {
        egress::attach(program, target.interface, &layout.links())?;
    }
    let flows = object.flows().map_err(load_failure)?;
    let now = clock::now(object.clock().map_err(load_failure)?).map_err(clock_failure)?;
    let meters = object.meters().map_err(load_failure)?;
    let guarded = Guarded(
        targets
            .iter()
            .map(|target| target.interface.index)
            .collect(),
    );
    adopt(&flows, &meters, now, network, &guarded, image, None)?;
    if !targets.is_empty() && has_unconnected_udp() {
        thread::sleep(LEARNING);
    }
    let attached = targets
        .iter()
        .map(|target| attach(&mut object, target, layout))
        .collect::<Result<Vec<_>, _>>()?;
    adopt(&flows, &meters, now, network, &guarded, image, None)?;
    // Only `status` and the next boot want to know it.
    Attachments::record(layout, &attached).ok();
    let changes = attached.into_iter().map(Change::Attached).collect();
    Ok((object, changes))
}

/// Sessions that go on behind NAT. A kernel that does not tell of them must not keep anybody from
/// closing a port.
fn keep_sessions(layout: &Layout, network: &Network, image: &Image) {
    adopt_before(layout, network, image).ok();
}

/// Its pin tells that SYNs are answered with cookies.
fn pin_answer(object: &mut Object, layout: &Layout) -> Result<(), Failure> {
    let path = layout.answer();
    remove_if_there(&path)?;
    if object.answering().is_err() {
        return Ok(());
    }
    let program = object.answer().map_err(load_failure)?;
    program.pin(&path).map_err(|error| {
        Failure::new(
            Exit::NoBpffs,
            format!("{}: cannot pin the program: {error}", path.display()),
        )
    })
}

fn pin_clock(object: &mut Object, layout: &Layout) -> Result<(), Failure> {
    let path = layout.clock();
    if path.exists() {
        return Ok(());
    }
    let clock = object.clock().map_err(load_failure)?;
    clock.pin(&path).map_err(|error| {
        Failure::new(
            Exit::NoBpffs,
            format!("{}: cannot pin the program: {error}", path.display()),
        )
    })
}

fn clock_failure(error: ProgramError) -> Failure {
    load_failure(LoadError::Program(error))
}

/// Loads the program anew beside the running one and lets it take over, link by link. The policy
/// maps are made anew when the policy does not fit into those that are there, the flow table when the policy asks for
/// another size. What began while an interface had one program on the way in and another on the way out is taken up
/// at the end: until then, some milliseconds, its answers are dropped, and sent again.
fn exchange(
    layout: &Layout,
    image: &Image,
    targets: Option<&[AttachTarget<'_>]>,
    network: &Network,
    term: Commitment,
) -> Result<Vec<Change>, Failure> {
    preflight::may_load()?;
    let maps = layout.maps();
    let mut parameters = pins::parameters(layout, Purpose::Filter)?;
    let grows = image.words.len() > parameters.slot_words as usize || is_interrupted(&maps);
    let mut fresh = Vec::new();
    if grows {
        parameters.slot_words = slot_words_for(image).max(parameters.slot_words);
        fresh.extend([names::POLICY, names::SWITCH]);
    }
    let orphaned = pins::next_flows(layout, parameters.seed)?;
    if image.flow_buckets() != parameters.flow_buckets || orphaned.is_some() {
        parameters.flow_buckets = image.flow_buckets();
        fresh.push(names::FLOWS);
    }
    for name in &fresh {
        remove_if_there(&maps.join(next_name(name)))?;
    }
    let mut object = Object::load(parameters, Some((&maps, &fresh))).map_err(load_failure)?;
    let slots = object.slots().map_err(load_failure)?;
    if grows && let Some(running) = pins::open(layout)? {
        rule_hits::leave_all_but_active(layout, &running.slots);
        slots.adopt(&running.slots);
        slots.set_seed(parameters.seed);
    }
    keep_sessions(layout, network, image);
    let before = if fresh.contains(&names::FLOWS) {
        let running = pins::open(layout)?.map(|running| running.flows);
        running.into_iter().chain(orphaned).collect()
    } else {
        Vec::new()
    };
    take_up(layout, &object, &before)?;
    switch(layout, &slots, image, term)?;
    pin_answer(&mut object, layout)?;
    pin_clock(&mut object, layout)?;
    for name in &fresh {
        pin(&object, name, &maps.join(next_name(name)))?;
    }
    let egress = object.egress().map_err(load_failure)?;
    for link in pins::links(layout)? {
        if let Some(known) = network.by_index(link.ifindex) {
            egress::attach(egress, known, &layout.links())?;
        }
    }
    for target in targets.unwrap_or_default() {
        egress::attach(egress, target.interface, &layout.links())?;
    }
    let changes = take_over(layout, &mut object, targets, network)?;
    take_up(layout, &object, &before)?;
    for name in fresh {
        let to = maps.join(name);
        fs::rename(maps.join(next_name(name)), &to)
            .map_err(|error| from_io(to.display(), &error))?;
    }
    Ok(changes)
}

/// Fills the flow table of an object with what others hold.
fn take_up(layout: &Layout, object: &Object, before: &[FlowTable]) -> Result<(), Failure> {
    if before.is_empty() {
        return Ok(());
    }
    let now = clock::pinned_ticks(&layout.clock()).map_err(clock_failure)?;
    let flows = object.flows().map_err(load_failure)?;
    for other in before {
        flows.take_up(other, now);
    }
    Ok(())
}

fn slot_words_for(image: &Image) -> u32 {
    (image.words.len() as u32)
        .saturating_mul(5)
        .div_ceil(4)
        .next_power_of_two()
        .max(MIN_SLOT_WORDS)
}

/// Counter shards for this host, and whether each possible CPU has one of its own.
fn shards() -> (u32, bool) {
    let cpus = possible_cpus();
    let shards = cpus.next_power_of_two().min(MAX_SHARDS);
    (shards, cpus <= shards)
}

fn seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| from_io("/dev/urandom", &error))?;
    Ok(u64::from_ne_bytes(bytes))
}
