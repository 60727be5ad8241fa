//! Digits: as telephone-events (RFC 4733) and as tones in the audio (ITU-T Q.23, Q.24).

mod event;
mod inband;

pub(crate) use event::{EventPayload, EventReceiver};
pub(crate) use inband::Detector;

const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];
/// Digits by their event code (RFC 4733 §3.2).
const BY_CODE: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// The two tones of a digit.
pub(crate) fn frequencies(digit: char) -> Option<(f32, f32)> {
    let digit = digit.to_ascii_uppercase();
    KEYS.iter().enumerate().find_map(|(row, keys)| {
        let column = keys.iter().position(|key| *key == digit)?;
        Some((ROWS[row], COLUMNS[column]))
    })
}

/// The event code of a digit.
pub(crate) fn code_of(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    BY_CODE
        .iter()
        .position(|key| *key == digit)
        .map(|code| code as u8)
}
