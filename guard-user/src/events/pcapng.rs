//! Packets as a pcapng file, which Wireshark and its like read: per packet the interface, the time in ns, the
//! queue, what XDP did, and why, as a comment.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use guard_common::abi::reason::Action;
use pcap_file::{
    DataLink, Endianness,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{
                InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
            },
            interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption},
            opt_common::{CommonOption, UnknownOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};

/// Options that the crate has no words for (draft-ietf-opsawg-pcapng, 4.3).
const QUEUE: u16 = 6;
const VERDICT: u16 = 7;
/// A verdict of XDP, its action as 64 bits.
const VERDICT_OF_XDP: u8 = 2;
/// Direction in the flags of a packet.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Why nothing can be written: a block that the format has no place for.
#[derive(Debug, thiserror::Error)]
#[error("cannot put a packet into a pcapng file: {0}")]
pub struct CannotWrite(String);

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// The interface that it came by.
    pub ifindex: u32,
    /// The queue of that interface.
    pub queue: u32,
    /// Since 1970.
    pub time: Duration,
    /// Length of the frame in bytes.
    pub frame_len: u32,
    /// Its first bytes.
    pub bytes: &'a [u8],
    /// What became of it.
    pub action: Action,
    /// Why, in words.
    pub comment: &'a str,
}

/// Blocks of a file, as bytes that are taken out as a whole: what is on a disk ends with a whole block.
pub struct Blocks {
    writer: PcapNgWriter<Vec<u8>>,
    snap: u32,
    interfaces: BTreeMap<u32, u32>,
    start: Duration,
}

impl Blocks {
    /// A section that begins at this time since 1970, with at most `snap` bytes of each frame.
    ///
    /// # Errors
    /// [`CannotWrite`]
    pub fn new(snap: u32, start: Duration) -> Result<Self, CannotWrite> {
        let version = format!("guardctl {}", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            endianness: Endianness::native(),
            options: vec![SectionHeaderOption::UserApplication(version.into())],
            ..SectionHeaderBlock::default()
        };
        let writer = PcapNgWriter::with_section_header(Vec::new(), section).map_err(cannot)?;
        Ok(Self {
            writer,
            snap,
            interfaces: BTreeMap::new(),
            start,
        })
    }

    /// Adds a packet; `name` names its interface.
    ///
    /// # Errors
    /// [`CannotWrite`]
    pub fn add(
        &mut self,
        packet: &Captured<'_>,
        name: &dyn Fn(u32) -> String,
    ) -> Result<(), CannotWrite> {
        let interface_id = self.interface(packet.ifindex, name)?;
        let (direction, verdict) = match packet.action {
            Action::Drop => (INBOUND, 1u64),
            Action::Pass => (INBOUND, 2),
            // Its bytes are the answer's.
            Action::Answer => (OUTBOUND, 3),
        };
        let mut of_xdp = vec![VERDICT_OF_XDP];
        of_xdp.extend(verdict.to_ne_bytes());
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: packet.time,
            original_len: packet.frame_len.max(packet.bytes.len() as u32),
            data: Cow::Borrowed(packet.bytes),
            options: vec![
                EnhancedPacketOption::Flags(direction),
                unknown(QUEUE, packet.queue.to_ne_bytes().to_vec()),
                unknown(VERDICT, of_xdp),
                EnhancedPacketOption::Common(CommonOption::Comment(Cow::Borrowed(packet.comment))),
            ],
        };
        self.writer.write_pcapng_block(block).map_err(cannot)?;
        Ok(())
    }

    /// Ends the section: packets that were captured, and those that were lost.
    ///
    /// # Errors
    /// [`CannotWrite`]
    pub fn end(
        &mut self,
        time: Duration,
        captured: u64,
        lost: u64,
        name: &dyn Fn(u32) -> String,
    ) -> Result<(), CannotWrite> {
        // A file without packets has its numbers too.
        if self.interfaces.is_empty() {
            self.interface(0, name)?;
        }
        // The ring is one for all interfaces, so its loss is said once.
        let block = InterfaceStatisticsBlock {
            interface_id: 0,
            timestamp: time,
            options: vec![
                InterfaceStatisticsOption::IsbStartTime(self.start),
                InterfaceStatisticsOption::IsbEndTime(time),
                InterfaceStatisticsOption::IsbIfRecv(captured + lost),
                InterfaceStatisticsOption::IsbOsDrop(lost),
                InterfaceStatisticsOption::IsbUsrDeliv(captured),
            ],
        };
        self.writer.write_pcapng_block(block).map_err(cannot)?;
        Ok(())
    }

    /// What there is to write, whole blocks.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    /// How much [`Blocks::take`] would give.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writer.get_ref().len()
    }

    /// Is there nothing to write?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn interface(
        &mut self,
        ifindex: u32,
        name: &dyn Fn(u32) -> String,
    ) -> Result<u32, CannotWrite> {
        if let Some(id) = self.interfaces.get(&ifindex) {
            return Ok(*id);
        }
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: self.snap,
            options: vec![
                InterfaceDescriptionOption::IfName(name(ifindex).into()),
                InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
            ],
        };
        self.writer.write_pcapng_block(block).map_err(cannot)?;
        let id = self.interfaces.len() as u32;
        self.interfaces.insert(ifindex, id);
        Ok(id)
    }
}

fn unknown(code: u16, value: Vec<u8>) -> EnhancedPacketOption<'static> {
    let option = UnknownOption {
        code,
        value: Cow::Owned(value),
    };
    EnhancedPacketOption::Common(CommonOption::Unknown(option))
}

fn cannot(error: impl std::fmt::Display) -> CannotWrite {
    CannotWrite(error.to_string())
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut blocks = Blocks::new(128, Duration::from_secs(1)).expect("a section");
        let packet = Captured {
            ifindex: 7,
            queue: 3,
            time: Duration::new(1_700_000_000, 123_456_789),
            frame_len: 1500,
            bytes: &[9; 60],
            action: Action::Drop,
            comment: "guard: drop default-drop",
        };
        let name = |index: u32| format!("eth{index}");
        blocks.add(&packet, &name).expect("a packet");
        blocks
            .end(Duration::from_secs(2), 1, 4, &name)
            .expect("the end");
        let bytes = blocks.take();
        assert!(blocks.is_empty());
        let mut reader = PcapNgReader::new(&bytes[..]).expect("a file");
        let (mut packets, mut interfaces, mut losses) = (0, 0, 0);
        while let Some(block) = reader.next_block() {
            let (block, _) = block.expect("a block");
            if let Block::InterfaceDescription(interface) = &block {
                interfaces += 1;
                let options = format!("{:?}", interface.options);
                assert!(options.contains("eth7"), "{options}");
            } else if let Block::EnhancedPacket(read) = &block {
                packets += 1;
                assert_eq!(read.timestamp, packet.time);
                assert_eq!(read.original_len, 1500);
                let options = format!("{:?}", read.options);
                assert!(options.contains("guard: drop default-drop"), "{options}");
            } else if let Block::InterfaceStatistics(numbers) = &block {
                losses += 1;
                let options = format!("{:?}", numbers.options);
                assert!(options.contains("IsbOsDrop(4)"), "{options}");
            } else {
                panic!("{block:?}");
            }
        }
        assert_eq!((interfaces, packets, losses), (1, 1, 1));
    }
}
