//! Sender and receiver reports (RFC 3550 §6.4), as much as quality figures need.

/// One report block: how a source is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) ssrc: u32,
    pub(crate) fraction_lost: u8,
    pub(crate) lost: u32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
    pub(crate) last_sender_report: u32,
    /// In 1/65536 s.
    pub(crate) delay: u32,
}

/// What a sender report says about the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) ntp: u64,
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// Longest compound packet we write.
pub(crate) const LONGEST: usize = 128;

/// Writes SR or RR with at most one block, then SDES with a CNAME. Returns the length.
pub(crate) fn write(
    out: &mut [u8; LONGEST],
    ssrc: u32,
    sent: Option<&Sent>,
    block: Option<&Block>,
) -> usize {
    let mut writer = Writer { out, at: 0 };
    let words = 1 + if sent.is_some() { 5 } else { 0 } + if block.is_some() { 6 } else { 0 };
    writer.long(
        0x8000_0000
            | u32::from(block.is_some()) << 24
            | if sent.is_some() { 200 } else { 201 } << 16
            | words,
    );
    writer.long(ssrc);
    if let Some(sent) = sent {
        writer.long((sent.ntp >> 32) as u32);
        writer.long(sent.ntp as u32);
        writer.long(sent.timestamp);
        writer.long(sent.packets);
        writer.long(sent.octets);
    }
    if let Some(block) = block {
        writer.long(block.ssrc);
        writer.long(u32::from(block.fraction_lost) << 24 | block.lost.min(0x7f_ffff));
        writer.long(block.highest);
        writer.long(block.jitter);
        writer.long(block.last_sender_report);
        writer.long(block.delay);
    }
    writer.long(0x81ca_0004);
    writer.long(ssrc);
    writer.bytes(&[1, 8]);
    writer.bytes(&name(ssrc));
    writer.bytes(&[0, 0]);
    writer.at
}

/// The CNAME of a source of ours, as descriptions tell it (RFC 5576 §6.1).
pub(crate) fn cname(ssrc: u32) -> String {
    name(ssrc).into_iter().map(char::from).collect()
}

/// Drawn from the random SSRC: RFC 7022 asks that it say nothing about the host.
fn name(ssrc: u32) -> [u8; 8] {
    std::array::from_fn(|at| b"0123456789abcdef"[(ssrc >> (4 * (7 - at))) as usize & 15])
}

struct Writer<'a> {
    out: &'a mut [u8; LONGEST],
    at: usize,
}

impl Writer<'_> {
    fn long(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

/// What a received compound packet told us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The middle 32 bits of the sender's NTP time.
    pub(crate) sender_report: Option<u32>,
    /// The block about the source asked for.
    pub(crate) block: Option<Block>,
    /// The sender says that it leaves.
    pub(crate) bye: bool,
}

/// Reads a compound packet, keeping the block about `ours`; `None` when it isn't RTCP.
pub(crate) fn parse(datagram: &[u8], ours: u32) -> Option<Report> {
    let mut report = Report::default();
    let mut rest = datagram;
    let mut any = false;
    while rest.len() >= 4 {
        if rest[0] >> 6 != 2 || !(200..=207).contains(&rest[1]) {
            return any.then_some(report);
        }
        let length = 4 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let Some(packet) = rest.get(..length) else {
            return any.then_some(report);
        };
        any = true;
        let blocks = match rest[1] {
            200 if length >= 28 => {
                report.sender_report = Some(long(packet, 8) << 16 | long(packet, 12) >> 16);
                &packet[28..]
            }
            201 if length >= 8 => &packet[8..],
            203 => {
                report.bye = true;
                &[]
            }
            _ => &[],
        };
        for block in blocks.chunks_exact(24).take(usize::from(rest[0] & 0x1f)) {
            if long(block, 0) == ours {
                report.block = Some(Block {
                    ssrc: ours,
                    fraction_lost: block[4],
                    lost: long(block, 4) & 0xff_ffff,
                    highest: long(block, 8),
                    jitter: long(block, 12),
                    last_sender_report: long(block, 16),
                    delay: long(block, 20),
                });
            }
        }
        rest = &rest[length..];
    }
    any.then_some(report)
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_report_reads_back() {
        let block = Block {
            ssrc: 5,
            fraction_lost: 12,
            lost: 300,
            highest: 70_000,
            jitter: 40,
            last_sender_report: 9,
            delay: 8,
        };
        let sent = Sent {
            ntp: 0x0102_0304_0506_0708,
            timestamp: 160,
            packets: 3,
            octets: 480,
        };
        let mut out = [0; LONGEST];
        let length = write(&mut out, 77, Some(&sent), Some(&block));
        assert_eq!(length % 4, 0);
        let report = parse(&out[..length], 5).expect("it is RTCP");
        assert_eq!(
            (report.sender_report, report.block),
            (Some(0x0304_0506), Some(block))
        );
        assert_eq!(parse(&out[..length], 6).expect("it is RTCP").block, None);
    }

    #[test]
    fn reports_name_a_source_as_descriptions_do() {
        let mut out = [0; LONGEST];
        let length = write(&mut out, 0x00c0_ffee, None, None);
        // After the empty report: SDES with one source, and of that its CNAME (RFC 3550 §6.5).
        let named = &out[8..length];
        assert_eq!(named[4..8], 0x00c0_ffee_u32.to_be_bytes());
        assert_eq!(named[8..10], [1, 8]);
        assert_eq!(named[10..18], *cname(0x00c0_ffee).as_bytes());
        assert_eq!(cname(0x00c0_ffee), "00c0ffee");
    }

    #[test]
    fn cut_and_foreign_packets_do_no_harm() {
        let mut out = [0; LONGEST];
        let length = write(&mut out, 77, None, Some(&Block::default()));
        for cut in 0..length {
            let _ = parse(&out[..cut], 0);
        }
        assert_eq!(parse(b"GET / HTTP/1.1", 0), None);
    }
}
