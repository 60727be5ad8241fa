//! Sends and receives the audio of many legs on threads of its own.
//!
//! Each leg has a socket. Every 20 ms, spread over slots of 1 ms, a leg sends one packet and empties its
//! socket. The kernel notes when each packet arrived, so that it doesn't matter when this program gets
//! around to looking: what is measured is the way through the server, not the wait in here.

use std::{
    collections::VecDeque,
    io::IoSliceMut,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use nix::sys::{
    socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt},
    time::TimeSpec,
};

use super::signal::{FRAME, Stamp, tone, tone_of};

pub const SLOTS: usize = 20;
const HEADER: usize = 12;
/// Packets of one key press: five while it is held, three that say it ended (RFC 4733 §2.5.1.4).
const PRESS: u8 = 8;

/// A socket that notes when packets came.
pub fn open_socket(address: std::net::IpAddr) -> anyhow::Result<UdpSocket> {
    let socket =
        UdpSocket::bind((address, 0)).context("no socket for audio (is `ulimit -n` too low?)")?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// What one leg heard of its peer, by the peer's sequence numbers, and what it sent.
#[derive(Debug, Default)]
pub struct Heard {
    pub leg: u16,
    /// When each own packet left, microseconds of the wall clock. Sequence 0 is the first.
    pub sent_us: Vec<u64>,
    /// How long each of the peer's packets took, in microseconds; `None` for one that never came.
    pub took_us: Vec<Option<u32>>,
    pub duplicates: u32,
    pub reordered: u32,
    /// Stamped packets of somebody else's call. There must be none.
    pub strangers: u32,
    /// When packets without a stamp came: music, prompts, and what was encoded anew on its way.
    pub others_us: Vec<u64>,
    /// When a leg that is encrypted could be heard at all.
    pub ready_us: Option<u64>,
    highest: Option<u32>,
    /// When the first of the peer's packets came.
    pub first_us: Option<u64>,
}

/// The running threads.
pub struct Voices {
    threads: Vec<(Sender<Command>, JoinHandle<Vec<u32>>)>,
}

enum Command {
    Add(Box<Leg>),
    Talk {
        leg: u16,
        to: SocketAddr,
    },
    Press {
        leg: u16,
        code: u8,
        payload_type: u8,
    },
    Remove {
        leg: u16,
        report: Sender<Heard>,
    },
}

struct Leg {
    id: u16,
    /// Legs of one call share all but the lowest bit.
    socket: Arc<UdpSocket>,
    to: Option<SocketAddr>,
    frame: [u8; HEADER + FRAME],
    sequence: u16,
    timestamp: u32,
    presses: VecDeque<(u8, u8)>,
    press_step: u8,
    press_start: u32,
    heard: Heard,
}

impl Voices {
    pub fn start(threads: usize) -> anyhow::Result<Self> {
        let mut started = Vec::new();
        for number in 0..threads {
            let (commands, inbox) = mpsc::channel();
            let run = move || run(&inbox);
            started.push((
                commands,
                thread::Builder::new()
                    .name(format!("voices-{number}"))
                    .spawn(run)?,
            ));
        }
        Ok(Self { threads: started })
    }

    fn tell(&self, leg: u16, command: Command) {
        // Both legs of a call live on one thread, so that neither waits for the other's.
        let thread = usize::from(leg / 2) % self.threads.len();
        let _ = self.threads[thread].0.send(command);
    }

    /// A leg that listens, and talks once it is told where to.
    pub fn add(&self, leg: u16, socket: UdpSocket) {
        let mut frame = [0; HEADER + FRAME];
        frame[0] = 0x80;
        frame[8..12].copy_from_slice(&(0x5eed_0000 | u32::from(leg)).to_be_bytes());
        frame[HEADER..].copy_from_slice(&tone(tone_of(leg)));
        let leg = Leg {
            id: leg,
            socket: Arc::new(socket),
            to: None,
            frame,
            sequence: leg.wrapping_mul(257),
            timestamp: u32::from(leg).wrapping_mul(1_000_003),
            presses: VecDeque::new(),
            press_step: 0,
            press_start: 0,
            heard: Heard::of(leg),
        };
        self.tell(leg.id, Command::Add(Box::new(leg)));
    }

    pub fn talk(&self, leg: u16, to: SocketAddr) {
        self.tell(leg, Command::Talk { leg, to });
    }

    pub fn press(&self, leg: u16, code: u8, payload_type: u8) {
        self.tell(
            leg,
            Command::Press {
                leg,
                code,
                payload_type,
            },
        );
    }

    /// Takes a leg away; what it heard goes to `report`.
    pub fn remove(&self, leg: u16, report: &Sender<Heard>) {
        self.tell(
            leg,
            Command::Remove {
                leg,
                report: report.clone(),
            },
        );
    }

    /// Ends the threads. How late each tick of theirs was, in microseconds.
    pub fn stop(self) -> Vec<u32> {
        let mut late = Vec::new();
        for (commands, thread) in self.threads {
            drop(commands);
            late.extend(thread.join().unwrap_or_default());
        }
        late
    }
}

fn run(inbox: &Receiver<Command>) -> Vec<u32> {
    let mut slots: [Vec<Box<Leg>>; SLOTS] = std::array::from_fn(|_| Vec::new());
    let mut late = Vec::new();
    let start = Instant::now();
    let mut control = nix::cmsg_space!(TimeSpec);
    for tick in 0u64.. {
        let due = start + Duration::from_millis(tick);
        if let Some(rest) = due.checked_duration_since(Instant::now()) {
            thread::sleep(rest);
        }
        // One sample in five is plenty for percentiles.
        if tick.is_multiple_of(5) {
            late.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        loop {
            match inbox.try_recv() {
                Ok(command) => obey(&mut slots, command, &mut control),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return late,
            }
        }
        for leg in &mut slots[tick as usize % SLOTS] {
            leg.send();
            leg.listen(&mut control);
        }
    }
    late
}

#[expect(
    clippy::vec_box,
    reason = "a leg is large and comes boxed through the channel"
)]
fn obey(slots: &mut [Vec<Box<Leg>>; SLOTS], command: Command, control: &mut Vec<u8>) {
    let of = |leg: u16| usize::from(leg) % SLOTS;
    match command {
        Command::Add(leg) => slots[of(leg.id)].push(leg),
        Command::Talk { leg, to } => {
            if let Some(leg) = slots[of(leg)].iter_mut().find(|held| held.id == leg) {
                leg.to = Some(to);
            }
        }
        Command::Press {
            leg,
            code,
            payload_type,
        } => {
            if let Some(leg) = slots[of(leg)].iter_mut().find(|held| held.id == leg) {
                leg.presses.push_back((code, payload_type));
            }
        }
        Command::Remove { leg, report } => {
            let slot = &mut slots[of(leg)];
            if let Some(place) = slot.iter().position(|held| held.id == leg) {
                let mut leg = slot.swap_remove(place);
                leg.listen(control);
                // Whoever asked may be gone; then nobody wants to know.
                let _ = report.send(leg.heard);
            }
        }
    }
}

pub fn wall_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Leg {
    fn send(&mut self) {
        let Some(to) = self.to else { return };
        if let Some((code, payload_type)) = self.presses.front().copied() {
            return self.send_press(to, code, payload_type);
        }
        let now = wall_us();
        let stamp = Stamp {
            leg: self.id,
            sequence: self.heard.sent_us.len() as u32,
            sent_us: now as u32,
        };
        stamp.write(&mut self.frame[HEADER..]);
        self.frame[1] = if self.heard.sent_us.is_empty() {
            0x80
        } else {
            0
        };
        let frame = self.frame;
        self.put(to, frame, HEADER + FRAME);
        self.heard.sent_us.push(now);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
    }

    fn put(&mut self, to: SocketAddr, mut frame: [u8; HEADER + FRAME], length: usize) {
        frame[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        frame[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        // A full queue or a closed port shows as a packet that never arrived.
        let _ = self.socket.send_to(&frame[..length], to);
    }

    fn send_press(&mut self, to: SocketAddr, code: u8, payload_type: u8) {
        if self.press_step == 0 {
            self.press_start = self.timestamp;
        }
        let held = u16::from(self.press_step.min(PRESS - 4) + 1) * FRAME as u16;
        let ends = self.press_step >= PRESS - 3;
        let mut frame = self.frame;
        frame[1] = payload_type | if self.press_step == 0 { 0x80 } else { 0 };
        frame[HEADER] = code;
        frame[HEADER + 1] = 10 | if ends { 0x80 } else { 0 };
        frame[HEADER + 2..HEADER + 4].copy_from_slice(&held.to_be_bytes());
        let now = self.timestamp;
        self.timestamp = self.press_start;
        self.put(to, frame, HEADER + 4);
        self.timestamp = now.wrapping_add(FRAME as u32);
        self.press_step += 1;
        if self.press_step == PRESS {
            self.press_step = 0;
            self.presses.pop_front();
        }
    }

    #[expect(clippy::ptr_arg, reason = "recvmsg takes a vector")]
    fn listen(&mut self, control: &mut Vec<u8>) {
        let mut packet = [0u8; 1_500];
        loop {
            let (length, arrived_us) = {
                let mut parts = [IoSliceMut::new(&mut packet)];
                let received = recvmsg::<()>(
                    self.socket.as_raw_fd(),
                    &mut parts,
                    Some(control),
                    MsgFlags::MSG_DONTWAIT,
                );
                // Nothing more, or a port that was closed at the other end.
                let Ok(message) = received else { return };
                (message.bytes, arrival(&message).unwrap_or_else(wall_us))
            };
            if let Some(payload) = packet[..length].get(HEADER..) {
                self.heard.take(payload, arrived_us);
            }
        }
    }
}

impl Heard {
    pub fn of(leg: u16) -> Self {
        Self {
            leg,
            ..Self::default()
        }
    }

    /// A packet's payload came.
    pub fn take(&mut self, payload: &[u8], arrived_us: u64) {
        let Some(stamp) = Stamp::read(payload) else {
            self.others_us.push(arrived_us);
            return;
        };
        if stamp.leg != self.leg ^ 1 {
            self.strangers += 1;
            return;
        }
        self.first_us.get_or_insert(arrived_us);
        let place = stamp.sequence as usize;
        // Only its peer could send such a number, and that has not lived long enough.
        if place > 1 << 22 {
            return;
        }
        if self.took_us.len() <= place {
            self.took_us.resize(place + 1, None);
        }
        if self.highest.is_some_and(|highest| highest > stamp.sequence) {
            self.reordered += 1;
        }
        self.highest = self.highest.max(Some(stamp.sequence));
        let took = (arrived_us as u32).wrapping_sub(stamp.sent_us);
        // The clock may be set back by a hair between the two looks.
        let took = if took > u32::MAX / 2 { 0 } else { took };
        match &mut self.took_us[place] {
            Some(_) => self.duplicates += 1,
            empty => *empty = Some(took),
        }
    }
}

pub fn arrival<S>(message: &nix::sys::socket::RecvMsg<'_, '_, S>) -> Option<u64> {
    message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time).as_micros() as u64),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Runs until the far end has seen so many packets; it may answer each.
    fn exchange(
        packets: usize,
        answer: impl Fn(usize, &mut [u8]) -> bool,
    ) -> (Heard, Heard, Vec<Vec<u8>>) {
        let local = Ipv4Addr::LOCALHOST.into();
        let far = UdpSocket::bind((local, 0)).unwrap();
        let voices = Voices::start(1).unwrap();
        let (caller, agent) = (open_socket(local).unwrap(), open_socket(local).unwrap());
        let to_agent = agent.local_addr().unwrap();
        voices.add(4, caller);
        voices.add(5, agent);
        voices.press(4, 1, 101);
        voices.talk(4, far.local_addr().unwrap());
        let mut seen = Vec::new();
        let mut buffer = [0; 1_500];
        for at in 0..packets {
            let length = far.recv(&mut buffer).unwrap();
            seen.push(buffer[..length].to_vec());
            if answer(at, &mut buffer[..length]) {
                far.send_to(&buffer[..length], to_agent).unwrap();
            }
        }
        let (report, reports) = mpsc::channel();
        voices.remove(4, &report);
        voices.remove(5, &report);
        let (one, other) = (reports.recv().unwrap(), reports.recv().unwrap());
        voices.stop();
        let (caller, agent) = if one.leg == 4 {
            (one, other)
        } else {
            (other, one)
        };
        (caller, agent, seen)
    }

    #[test]
    fn a_press_is_eight_packets_with_one_timestamp_then_audio_goes_on() {
        let (_, _, seen) = exchange(10, |_, _| false);
        assert!(seen[..8].iter().all(|packet| packet[1] & 0x7f == 101
            && packet.len() == 16
            && packet[4..8] == seen[0][4..8]));
        assert_eq!(
            seen.iter()
                .take(8)
                .filter(|packet| packet[13] & 0x80 != 0)
                .count(),
            3
        );
        assert_eq!(u16::from_be_bytes([seen[7][14], seen[7][15]]), 800);
        assert_eq!((seen[8][1], seen[8].len()), (0x80, 172));
        let stamp = Stamp::read(&seen[9][12..]).unwrap();
        assert_eq!((stamp.leg, stamp.sequence), (4, 1));
    }

    #[test]
    fn lost_and_foreign_packets_are_told_apart() {
        let (caller, agent, _) = exchange(20, |at, packet| {
            match at {
                ..10 | 13 => return false,
                15 => Stamp {
                    leg: 8,
                    sequence: 1,
                    sent_us: 0,
                }
                .write(&mut packet[12..]),
                16 => packet[12..].fill(0xff),
                _ => {}
            }
            true
        });
        assert!(caller.sent_us.len() >= 12);
        let came: Vec<bool> = (0..12)
            .map(|at| agent.took_us.get(at).is_some_and(Option::is_some))
            .collect();
        assert_eq!(
            came,
            [
                false, false, true, true, true, false, true, false, false, true, true, true
            ]
        );
        assert_eq!(
            (agent.strangers, agent.others_us.len(), agent.duplicates),
            (1, 1, 0)
        );
        assert!(agent.took_us.iter().flatten().all(|took| *took < 5_000_000));
    }
}
