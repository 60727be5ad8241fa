use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use model::LegId;
use tokio::sync::oneshot;

use super::{
    Doors, MediaError,
    command::{Command, Inbox, Order, RemoteMedia},
    event::LegQuality,
    mix::Party,
    room::Room,
    wire::Wire,
};
use crate::{
    RecordingSpec, Sound,
    ports::Pair,
    rtcp,
    webrtc::{IceCredentials, Identity, WebRtc},
};

/// The audio of one call. Dropping it closes everything.
///
/// Orders are carried out in the order given. One about a leg that isn't there is ignored: the
/// leg may have gone a moment ago.
#[derive(Debug)]
pub struct CallMedia {
    id: u64,
    inbox: Inbox,
    doors: Doors,
    identity: Arc<Identity>,
}

/// Our end of a browser's leg, as the browser is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserEnd {
    /// Where we receive.
    pub rtp: SocketAddr,
    /// The source of all that we send on the leg, whoever speaks.
    pub ssrc: u32,
    /// The name that our reports give that source.
    pub cname: String,
}

impl CallMedia {
    pub(super) fn new(id: u64, inbox: Inbox, doors: Doors, identity: Arc<Identity>) -> Self {
        Self {
            id,
            inbox,
            doors,
            identity,
        }
    }

    /// Opens sockets for a leg and returns the RTP address to tell its peer.
    ///
    /// # Errors
    /// When no port is free or the engine has stopped.
    pub async fn add_leg(&self, leg: LegId) -> Result<SocketAddr, MediaError> {
        self.add_leg_towards(leg, None).await
    }

    /// The same for a peer whose address is known: sockets of its IP family, where we have one.
    ///
    /// # Errors
    /// When no port is free or the engine has stopped.
    pub async fn add_leg_towards(
        &self,
        leg: LegId,
        peer: Option<IpAddr>,
    ) -> Result<SocketAddr, MediaError> {
        let (sockets, address) = self.open(peer)?;
        self.add(leg, Wire::new(sockets), rand::random())?;
        Ok(address)
    }

    /// The same for a leg whose peer is a browser: it speaks ICE and DTLS. Our part in ICE goes by
    /// the credentials; our certificate is that of [`Self::fingerprint`].
    ///
    /// # Errors
    /// When no port is free or the engine has stopped.
    pub async fn add_browser_leg(
        &self,
        leg: LegId,
        ice: IceCredentials,
    ) -> Result<BrowserEnd, MediaError> {
        let (sockets, rtp) = self.open(None)?;
        let connection = WebRtc::new(Arc::clone(&self.identity), rtp, ice, Instant::now());
        let ssrc = rand::random();
        self.add(leg, Wire::browser(sockets, connection), ssrc)?;
        Ok(BrowserEnd {
            rtp,
            ssrc,
            cname: rtcp::cname(ssrc),
        })
    }

    /// Binds sockets of a peer's IP family, and says what the peer is told.
    fn open(&self, peer: Option<IpAddr>) -> Result<(Pair, SocketAddr), MediaError> {
        let door = self.doors.towards(peer);
        let sockets = door.ports.open().map_err(MediaError::NoPorts)?;
        let address = SocketAddr::new(door.advertise, sockets.port);
        Ok((sockets, address))
    }

    fn add(&self, leg: LegId, wire: Wire, ssrc: u32) -> Result<(), MediaError> {
        let wire = Box::new(wire);
        if self.order(Order::AddLeg { leg, wire, ssrc }) {
            Ok(())
        } else {
            Err(MediaError::Stopped)
        }
    }

    /// The SHA-256 of the certificate that browsers are shown.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8] {
        self.identity.fingerprint()
    }

    /// Closes a leg's sockets; what it was bridged with hears nothing more of it.
    pub fn remove_leg(&self, leg: LegId) {
        self.order(Order::RemoveLeg { leg });
    }

    /// Says what was agreed with a leg's peer; again on every change of the session.
    pub fn connect(&self, leg: LegId, remote: RemoteMedia) {
        let remote = Box::new(remote);
        self.order(Order::Connect { leg, remote });
    }

    /// Plays to a leg in place of what it hears now. Begins when the leg is connected.
    pub fn play(&self, leg: LegId, playback: u64, source: Arc<Sound>, repeat: bool) {
        self.order(Order::Play {
            leg,
            playback,
            source,
            repeat,
            from: 0,
        });
    }

    /// Plays to a leg over and over, from a sample somewhere inside: music that goes on where it was.
    pub fn play_on(&self, leg: LegId, playback: u64, source: Arc<Sound>, from: usize) {
        self.order(Order::Play {
            leg,
            playback,
            source,
            repeat: true,
            from,
        });
    }

    /// Says something over the music a leg hears, which goes on beneath it. A leg that hears no music is told
    /// nothing.
    pub fn announce(&self, leg: LegId, sound: Arc<Sound>) {
        self.order(Order::Announce { leg, sound });
    }

    /// Ends what is played to a leg.
    pub fn stop_playing(&self, leg: LegId) {
        self.order(Order::StopPlaying { leg });
    }

    /// Lets two legs hear each other, and nobody else.
    pub fn bridge(&self, a: LegId, b: LegId) {
        self.order(Order::Bridge { a, b });
    }

    /// Lets any number of legs hear each other, each whom it shall; again when that changes. Legs that are not named
    /// hear nobody.
    pub fn mix(&self, parties: Vec<Party>) {
        self.order(Order::Mix { parties });
    }

    /// Parts the legs again.
    pub fn unbridge(&self) {
        self.order(Order::Unbridge);
    }

    /// Lets a leg hear everybody else in a room, and them it, until it leaves or is removed. Whatever it was bridged with
    /// is parted from it. `false` when the room is full.
    #[must_use]
    pub fn enter_room(&self, leg: LegId, room: &Room) -> bool {
        let Some(seat) = room.sit() else {
            return false;
        };
        self.order(Order::EnterRoom { leg, seat });
        true
    }

    /// Takes a leg out of its room.
    pub fn leave_room(&self, leg: LegId) {
        self.order(Order::LeaveRoom { leg });
    }

    /// Presses a key towards a leg's peer: as telephone-event where agreed, else as tones.
    pub fn send_digit(&self, leg: LegId, digit: char) {
        self.order(Order::SendDigit { leg, digit });
    }

    /// A digit that a leg's peer sent by SIP INFO. It comes back as [`MediaEvent::Digit`] unless
    /// it is a press that was heard already, and goes to the bridged leg in that leg's way.
    ///
    /// [`MediaEvent::Digit`]: super::MediaEvent::Digit
    pub fn info_digit(&self, leg: LegId, digit: char) {
        self.order(Order::InfoDigit { leg, digit });
    }

    /// Listens for digits in a leg's audio. Once telephone-events were seen, tones are ignored.
    pub fn detect_inband(&self, leg: LegId, on: bool) {
        self.order(Order::DetectInband { leg, on });
    }

    /// Records what is received from one leg or two. One recording runs at a time; a second
    /// one ends the first.
    pub fn start_recording(&self, spec: RecordingSpec) {
        self.order(Order::StartRecording { spec });
    }

    /// Switches the recording off while `on`, and on again. What was said meanwhile is cut out or silent, as the
    /// recording's [`RecordingSpec::pause`] says.
    pub fn pause_recording(&self, on: bool) {
        self.order(Order::PauseRecording { on });
    }

    /// Ends the recording; its length and size come as an event when it is on disk.
    pub fn stop_recording(&self) {
        self.order(Order::StopRecording);
    }

    /// How well a leg's audio travels; `None` when there is no such leg.
    pub async fn quality(&self, leg: LegId) -> Option<LegQuality> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Quality { leg, reply });
        answer.await.ok()
    }

    fn order(&self, order: Order) -> bool {
        self.inbox.send(Command::Call {
            call: self.id,
            order,
        })
    }
}

impl Drop for CallMedia {
    fn drop(&mut self) {
        self.inbox.send(Command::CloseCall { call: self.id });
    }
}
