//! `security.log` in the data folder: one line for each ban, in the form of Asterisk's log, so that fail2ban reads it
//! with the filter it brings.

use std::{
    fmt::Write as _, fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt, path::PathBuf,
};

use jiff::{Timestamp, tz::TimeZone};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

/// Writes what is said under [`sip::SECURITY_TARGET`].
pub struct SecurityLog {
    pub path: PathBuf,
}

impl<S: Subscriber> Layer<S> for SecurityLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != sip::SECURITY_TARGET {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let line = line(Timestamp::now(), &TimeZone::system(), &message.0);
        // Opened anew for each of these few lines, so that it may be rotated. The ban itself
        // stands, and stderr tells of it, whether or not this succeeds.
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// Asterisk's form: local time, level with a number, source file.
fn line(now: Timestamp, zone: &TimeZone, message: &str) -> String {
    let time = zone
        .to_datetime(now)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string();
    format!(
        "[{time}] SECURITY[{}] trunkline: {message}\n",
        std::process::id()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_asterisk_writes_it() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let text = line(now, &TimeZone::UTC, "SecurityEvent=\"InvalidPassword\"");
        let rest = text
            .strip_prefix("[2027-01-15 08:00:00] SECURITY[")
            .expect("time");
        let (number, rest) = rest.split_once(']').expect("number");
        assert!(number.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(rest, " trunkline: SecurityEvent=\"InvalidPassword\"\n");
    }
}
