//! How a leg's audio travelled: what the engine counted, put into the words of reports and of the echo test.

use std::net::IpAddr;

use media::{Codec, LegQuality, quality};
use model::{AudioQuality, NoAudio, StreamQuality};

/// What a leg's counters come to; `None` when nothing went either way.
pub(crate) fn of(codec: Codec, measured: &LegQuality) -> Option<AudioQuality> {
    if measured.packets_received == 0 && measured.packets_sent == 0 {
        return None;
    }
    let mos = |lost: f32, jitter_ms: f32| {
        quality::mos(&quality::Path {
            codec,
            loss: lost,
            jitter_ms,
            round_trip_ms: measured.round_trip_ms,
        })
    };
    let lost = u64::from(measured.packets_lost);
    let received = StreamQuality {
        packets: measured.packets_received,
        lost,
        jitter_ms: measured.jitter_ms,
        mos: mos(share(lost, measured.packets_received), measured.jitter_ms),
    };
    let sent = measured
        .peer_lost
        .zip(measured.peer_jitter_ms)
        .map(|(lost, jitter_ms)| {
            let lost = u64::from(lost);
            let arrived = u64::from(measured.packets_sent).saturating_sub(lost);
            StreamQuality {
                packets: arrived,
                lost,
                jitter_ms,
                mos: mos(share(lost, arrived), jitter_ms),
            }
        });
    Some(AudioQuality {
        codec: codec.name().to_owned(),
        received,
        sent,
        round_trip_ms: measured.round_trip_ms,
    })
}

/// How late the engine has sent audio in the last minutes, for the operator.
pub(crate) fn punctuality(health: &media::Health) -> String {
    let ms = |us: u64| us as f64 / 1_000.0;
    if health.ticks == 0 {
        return "audio: nothing was sent lately".to_owned();
    }
    format!(
        "audio: 99 % at most {:.1} ms late lately, the latest {:.1} ms; {} times over 10 ms since the start",
        ms(health.p99_us),
        ms(health.max_us),
        health.alarms
    )
}

/// Whether that is heard: more than one in a hundred packets came over 10 ms late.
pub(crate) fn is_late(health: &media::Health) -> bool {
    health.ticks > 0 && health.p99_us > 10_000
}

/// The likely reason why a party is not heard, given the address it told us and ours: what a translator hides shows
/// in a private address that is told to a public one.
pub(crate) fn likely(reason: NoAudio, told: Option<IpAddr>, ours: IpAddr) -> NoAudio {
    let astray = told.is_some_and(|told| is_private(told) && !is_private(ours));
    if reason == NoAudio::NeverHeard && astray {
        NoAudio::PrivateAddress
    } else {
        reason
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // RFC 6598: between a carrier and its customers.
            v4.is_private()
                || v4.is_link_local()
                || v4.is_loopback()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

fn share(lost: u64, arrived: u64) -> f32 {
    match lost + arrived {
        0 => 0.0,
        all => lost as f32 / all as f32,
    }
}

/// The result of the echo test, to be spoken.
pub(crate) fn in_words(quality: Option<&AudioQuality>) -> String {
    let Some(quality) = quality.filter(|quality| quality.received.packets > 0) else {
        return "We did not hear you at all. Your audio does not reach us: please check your firewall and your microphone."
            .to_owned();
    };
    let received = &quality.received;
    let percent = share(received.lost, received.packets) * 100.0;
    let grade = match received.mos {
        4.0.. => "very good",
        3.6.. => "good",
        3.1.. => "fair",
        _ => "poor",
    };
    let loss = match percent {
        0.0 => "no packet was lost".to_owned(),
        percent if percent < 1.0 => "less than one percent of packets was lost".to_owned(),
        percent => format!("{percent:.0} percent of packets were lost"),
    };
    let delay = match quality.round_trip_ms {
        Some(ms) => format!(" The way there and back takes {ms:.0} milliseconds."),
        None => String::new(),
    };
    format!(
        "Your connection is {grade}: {loss}, with a jitter of {:.0} milliseconds.{delay}",
        received.jitter_ms
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> LegQuality {
        LegQuality {
            packets_received: 500,
            packets_sent: 500,
            jitter_ms: 2.4,
            ..LegQuality::default()
        }
    }

    #[test]
    fn a_private_address_told_to_a_public_one_is_the_reason() {
        let ip = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let never = NoAudio::NeverHeard;
        let public = ip("203.0.113.5");
        for private in ["192.168.1.20", "10.0.0.1", "100.64.3.2", "fd00::1"] {
            let likely = likely(never, Some(ip(private)), public);
            assert_eq!(likely, NoAudio::PrivateAddress, "{private}");
        }
        assert_eq!(likely(never, Some(ip("198.51.100.1")), public), never);
        assert_eq!(likely(never, Some(ip("10.0.0.1")), ip("10.0.0.9")), never);
        let stopped = NoAudio::Stopped;
        assert_eq!(likely(stopped, Some(ip("10.0.0.1")), public), stopped);
    }

    #[test]
    fn the_operator_reads_how_late_audio_was() {
        let idle = punctuality(&media::Health::default());
        assert_eq!(idle, "audio: nothing was sent lately");
        let busy = media::Health {
            ticks: 9_000,
            p50_us: 60,
            p99_us: 420,
            max_us: 12_300,
            alarms: 2,
        };
        assert_eq!(
            punctuality(&busy),
            "audio: 99 % at most 0.4 ms late lately, the latest 12.3 ms; 2 times over 10 ms since the start"
        );
    }

    #[test]
    fn the_echo_test_says_what_was_counted() {
        let good = of(Codec::Pcmu, &measured()).expect("audio");
        assert_eq!(
            in_words(Some(&good)),
            "Your connection is very good: no packet was lost, with a jitter of 2 milliseconds."
        );
        let lossy = LegQuality {
            packets_received: 400,
            packets_lost: 100,
            round_trip_ms: Some(80.0),
            ..measured()
        };
        let lossy = of(Codec::Pcmu, &lossy).expect("audio");
        let told = in_words(Some(&lossy));
        assert!(told.contains("poor: 20 percent"), "{told}");
        assert!(told.contains("80 milliseconds"), "{told}");
        assert!(lossy.received.mos < good.received.mos);
        assert!(in_words(None).contains("did not hear you"));
        assert_eq!(of(Codec::Pcmu, &LegQuality::default()), None);
    }
}
