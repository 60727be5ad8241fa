//! The ladder diagram: who said what to whom, as text.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::Message;

/// Columns from one line of the ladder to the next.
const STEP: usize = 36;
/// Room for the time.
const MARGIN: usize = 10;
/// Peers that get a line of their own; more would be wider than any screen.
const PEERS: usize = 6;

/// Draws messages in their order, one line each: our own line second from the
/// left, peers where they first appear, times in seconds from the first message.
/// What was sent before, octet by octet, is marked `again`.
#[must_use]
pub fn ladder<'a>(messages: impl IntoIterator<Item = &'a Message>) -> String {
    let messages: Vec<&Message> = messages.into_iter().collect();
    let Some(first) = messages.first() else {
        return "no messages\n".to_owned();
    };
    let mut peers: Vec<SocketAddr> = Vec::new();
    for message in &messages {
        if !peers.contains(&message.remote) && peers.len() < PEERS {
            peers.push(message.remote);
        }
    }
    let columns = peers.len() + 1;
    // Ours is the second.
    let column = |peer: SocketAddr| {
        peers
            .iter()
            .position(|known| *known == peer)
            .map(|at| if at == 0 { 0 } else { at + 1 })
    };
    let mut names = vec![String::new(); columns];
    names[1] = "trunkline".to_owned();
    for peer in &peers {
        if let Some(at) = column(*peer) {
            names[at] = peer.to_string();
        }
    }
    let mut out = format!("{}\n", first.at);
    let mut heading = " ".repeat(MARGIN);
    for name in &names {
        heading.push_str(&format!("{name:<STEP$}"));
    }
    out.push_str(heading.trim_end());
    out.push('\n');
    let mut seen = HashSet::new();
    for message in &messages {
        let seconds = message.at.duration_since(first.at).as_secs_f64();
        let again = !seen.insert((message.remote, message.sent, &message.octets));
        let label = message.summary();
        let line = match column(message.remote) {
            Some(peer) => {
                let (from, to) = if message.sent { (1, peer) } else { (peer, 1) };
                arrow(columns, from, to, &label)
            }
            None => {
                let way = if message.sent { "to" } else { "from" };
                format!("{}  {label} {way} {}", lines(columns), message.remote)
            }
        };
        out.push_str(&format!("{seconds:>8.3}  {line}"));
        let again = if again { ", again" } else { "" };
        out.push_str(&format!("  {}{again}\n", message.transport.as_str()));
    }
    out
}

fn lines(columns: usize) -> String {
    let mut row = vec![' '; (columns - 1) * STEP + 1];
    for at in 0..columns {
        row[at * STEP] = '|';
    }
    row.into_iter().collect()
}

fn arrow(columns: usize, from: usize, to: usize, label: &str) -> String {
    let mut row: Vec<char> = lines(columns).chars().collect();
    let (left, right) = (from.min(to) * STEP, from.max(to) * STEP);
    for place in &mut row[left + 1..right] {
        *place = '-';
    }
    if to > from {
        row[right - 1] = '>';
    } else {
        row[left + 1] = '<';
    }
    // The label stands beside our own line, where the eye is.
    let room = STEP - 8;
    let mut shown: Vec<char> = format!(" {label} ").chars().collect();
    if shown.len() > room {
        shown.truncate(room - 2);
        shown.extend(['~', ' ']);
    }
    let start = if right == STEP { left + 4 } else { STEP + 4 };
    for (at, c) in shown.into_iter().enumerate() {
        row[start + at] = c;
    }
    row.into_iter().collect()
}
