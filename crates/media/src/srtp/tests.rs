use super::*;

const SUITES: [Suite; 3] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AeadAes256Gcm,
];

fn key(suite: Suite) -> Key {
    let secret: Vec<u8> = (0..(suite.key() + suite.salt()) as u8).collect();
    Key::new(suite, &secret).expect("its length")
}

fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 160, 1, 2, 3, 4]);
    packet.extend([b'v'; 160]);
    packet
}

fn sealed(sender: &mut Srtp, sequence: u16) -> Vec<u8> {
    let mut buffer = packet(sequence);
    let length = buffer.len();
    buffer.resize(length + 32, 0);
    let length = sender.seal_rtp(&mut buffer, length).expect("room");
    buffer.truncate(length);
    buffer
}

#[test]
fn session_keys_are_those_of_rfc_3711_appendix_b3() {
    let master = hex::decode("E1F97A0D3E018BE0D64FA32C06DE4139").expect("hex");
    let salt = hex::decode("0EC675AD498AFEEBB6960B3AABE6").expect("hex");
    let derived = |label, length| {
        let mut out = vec![0; length];
        keystream(Suite::AesCm128HmacSha1_80, &master, &salt, label, &mut out);
        hex::encode_upper(out)
    };
    assert_eq!(derived(0, 16), "C61E7A93744F39EE10734AFE3FF7A087");
    assert_eq!(derived(2, 14), "30CBBC08863D8C85D49DB34A9AE1");
    assert_eq!(derived(1, 20), "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
}

#[test]
fn the_galois_packet_is_that_of_rfc_7714_section_16_2() {
    let session: Vec<u8> = (0..32).collect();
    let cipher = Cipher::Galois {
        key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &session).expect("a key")),
        salt: hex::decode("517569642070726f2071756f")
            .expect("hex")
            .try_into()
            .expect("12 bytes"),
    };
    let plain = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976697361206\
        96e207061727465732074726573";
    let mut buffer = hex::decode(plain).expect("hex");
    let length = buffer.len();
    buffer.resize(length + 16, 0);
    let sealed = cipher.seal_rtp(&mut buffer, 12, length, 0x5501_a0b2, 0xf17b);
    assert_eq!(sealed, Some(length + 16));
    assert_eq!(
        hex::encode(&buffer),
        "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13"
    );
}

#[test]
fn what_is_sealed_opens_once_across_rollovers_losses_and_reordering() {
    for suite in SUITES {
        let mut sender = Srtp::new(&key(suite), Direction::Sending);
        let mut receiver = Srtp::new(&key(suite), Direction::Receiving);
        let mut late = None;
        for number in 65_000..140_000u32 {
            let sequence = number as u16;
            let mut arrived = sealed(&mut sender, sequence);
            assert!(!arrived.windows(8).any(|w| w == [b'v'; 8]));
            if number % 50 == 7 {
                late = Some((sequence, arrived));
                continue;
            }
            if number % 997 == 0 {
                continue;
            }
            let again = arrived.clone();
            let length = receiver.open_rtp(&mut arrived).expect("genuine");
            assert_eq!(arrived[..length], packet(sequence));
            assert_eq!(receiver.open_rtp(&mut again.clone()), None, "replayed");
            if let Some((sequence, mut arrived)) = late.take() {
                let length = receiver.open_rtp(&mut arrived).expect("late but genuine");
                assert_eq!(arrived[..length], packet(sequence));
            }
        }
    }
}

#[test]
fn no_bit_can_be_changed() {
    for suite in SUITES {
        let mut sender = Srtp::new(&key(suite), Direction::Sending);
        let good = sealed(&mut sender, 9);
        for bit in 0..good.len() * 8 {
            let mut receiver = Srtp::new(&key(suite), Direction::Receiving);
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(receiver.open_rtp(&mut bad), None, "{suite:?}, bit {bit}");
        }
        for length in 0..good.len() {
            let mut receiver = Srtp::new(&key(suite), Direction::Receiving);
            assert_eq!(receiver.open_rtp(&mut good[..length].to_vec()), None);
        }
    }
}

#[test]
fn reports_are_protected_too() {
    for suite in SUITES {
        let mut sender = Srtp::new(&key(suite), Direction::Sending);
        let mut receiver = Srtp::new(&key(suite), Direction::Receiving);
        let plain: Vec<u8> = [0x80, 200, 0, 6, 1, 2, 3, 4]
            .into_iter()
            .chain([7; 20])
            .collect();
        for _ in 0..3 {
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + 32, 0);
            let length = sender.seal_rtcp(&mut buffer, plain.len()).expect("room");
            let arrived = &mut buffer[..length];
            assert!(!arrived.windows(8).any(|w| w == [7; 8]));
            let mut replay = arrived.to_vec();
            let mut forged = arrived.to_vec();
            forged[10] ^= 1;
            assert_eq!(receiver.open_rtcp(&mut forged), None);
            let opened = receiver.open_rtcp(arrived).expect("genuine");
            assert_eq!(arrived[..opened], plain);
            assert_eq!(receiver.open_rtcp(&mut replay), None);
        }
        for length in 0..32 {
            assert_eq!(receiver.open_rtcp(&mut vec![0x80; length]), None);
        }
    }
}
