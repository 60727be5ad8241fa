use std::os::unix::fs::PermissionsExt as _;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{Context, KeyError, KeyRing, SecretBytes, VaultError, WrappedKey, open, seal};

const CANARY: &str = "canary-7f3a-secret";
const HOME: Context<'_> = Context {
    tenant: "ten_1",
    connection: "con_1",
    field: "keySecret",
};

fn base64_key(byte: u8) -> SecretString {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .encode([byte; 32])
        .into()
}

fn ring(bytes: &[u8]) -> KeyRing {
    KeyRing::from_base64(
        &bytes
            .iter()
            .map(|&byte| base64_key(byte))
            .collect::<Vec<_>>(),
    )
    .unwrap()
}

fn secret() -> SecretBytes {
    SecretBytes::from(CANARY.as_bytes().to_vec())
}

#[test]
fn what_is_sealed_opens_again_in_the_same_place() {
    let (key, wrapped) = ring(&[1]).new_data_key("ten_1");
    let sealed = seal(&key, &HOME, &secret());
    assert!(!sealed.contains(CANARY));
    let again = ring(&[1]).unwrap("ten_1", &wrapped).unwrap();
    assert_eq!(
        open(&again, &HOME, &sealed).unwrap().expose_secret(),
        CANARY.as_bytes()
    );
}

#[test]
fn the_same_secret_never_gives_the_same_record() {
    let (key, _) = ring(&[1]).new_data_key("ten_1");
    assert_ne!(seal(&key, &HOME, &secret()), seal(&key, &HOME, &secret()));
}

#[test]
fn a_record_moved_to_another_tenant_connection_or_field_does_not_open() {
    let (key, _) = ring(&[1]).new_data_key("ten_1");
    let sealed = seal(&key, &HOME, &secret());
    let places = [
        Context {
            tenant: "ten_2",
            ..HOME
        },
        Context {
            connection: "con_2",
            ..HOME
        },
        Context {
            field: "keyId",
            ..HOME
        },
        // The same letters cut differently.
        Context {
            tenant: "ten_1con_1",
            connection: "",
            ..HOME
        },
        Context {
            tenant: "ten_",
            connection: "1con_1",
            ..HOME
        },
    ];
    for place in places {
        assert_eq!(
            open(&key, &place, &sealed).unwrap_err(),
            VaultError::NotAuthentic,
            "{place:?}"
        );
    }
}

#[test]
fn a_record_of_another_data_key_says_which_key_is_missing() {
    let (key, _) = ring(&[1]).new_data_key("ten_1");
    let (other, _) = ring(&[1]).new_data_key("ten_1");
    let error = open(&other, &HOME, &seal(&key, &HOME, &secret())).unwrap_err();
    assert_eq!(
        error,
        VaultError::UnknownKey {
            key_id: key.id().to_owned()
        }
    );
    // Forging the id does not help.
    let forged = seal(&key, &HOME, &secret()).replace(key.id(), other.id());
    assert_eq!(
        open(&other, &HOME, &forged).unwrap_err(),
        VaultError::NotAuthentic
    );
}

#[test]
fn every_changed_byte_is_noticed_and_none_panics() {
    let (key, _) = ring(&[1]).new_data_key("ten_1");
    let sealed = seal(&key, &HOME, &secret());
    for at in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(open(&key, &HOME, &changed).is_err(), "byte {at}");
    }
    for junk in [
        "",
        ".",
        "s1",
        "s1..",
        "s1.x.",
        "s2.a.b",
        "s1.a.b.c",
        "…",
        "s1.\u{0}.AAAA",
    ] {
        assert!(open(&key, &HOME, junk).is_err());
        assert!(
            ring(&[1])
                .unwrap("ten_1", &WrappedKey(junk.to_owned()))
                .is_err()
        );
    }
}

#[test]
fn a_wrapped_key_of_another_tenant_does_not_unwrap() {
    let ring = ring(&[1]);
    let (_, wrapped) = ring.new_data_key("ten_1");
    assert_eq!(
        ring.unwrap("ten_2", &wrapped).unwrap_err(),
        VaultError::NotAuthentic
    );
}

#[test]
fn rotation_keeps_old_records_readable_until_the_old_key_is_gone() {
    let old = ring(&[1]);
    let (key, wrapped) = old.new_data_key("ten_1");
    let sealed = seal(&key, &HOME, &secret());

    let both = ring(&[2, 1]);
    let rewrapped = both
        .rewrap("ten_1", &wrapped)
        .unwrap()
        .expect("wrapped by the old key");
    assert_eq!(both.rewrap("ten_1", &rewrapped).unwrap(), None);

    let new = ring(&[2]);
    let again = new.unwrap("ten_1", &rewrapped).unwrap();
    assert_eq!(
        open(&again, &HOME, &sealed).unwrap().expose_secret(),
        CANARY.as_bytes()
    );
    let error = new.unwrap("ten_1", &wrapped).unwrap_err();
    assert_eq!(
        error,
        VaultError::UnknownKey {
            key_id: old.current_key_id().to_owned()
        }
    );
}

#[test]
fn a_key_that_is_not_32_bytes_is_refused_without_being_shown() {
    for text in ["", "c2hvcnQ=", "not base64 at all!", &"A".repeat(64)] {
        let error = KeyRing::from_base64(&[text.to_owned().into()]).unwrap_err();
        assert!(
            matches!(error, KeyError::Key { position: 1, .. }),
            "{text}: {error}"
        );
        assert!(text.is_empty() || !format!("{error} {error:?}").contains(text));
    }
    assert!(matches!(KeyRing::from_base64(&[]), Err(KeyError::Empty)));
}

#[test]
fn the_key_file_is_made_once_with_mode_0600() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let first = KeyRing::load_or_create(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let second = KeyRing::load_or_create(&path).unwrap();
    assert_eq!(first.current_key_id(), second.current_key_id());
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn many_starts_at_once_agree_on_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let ids: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    KeyRing::load_or_create(&path)
                        .unwrap()
                        .current_key_id()
                        .to_owned()
                })
            })
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert_eq!(ids.len(), 1);
}

#[test]
fn a_key_file_others_can_read_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    KeyRing::load_or_create(&path).unwrap();
    for mode in [0o644, 0o640, 0o660, 0o606] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = KeyRing::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_damaged_key_file_is_an_error_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    KeyRing::load_or_create(&path).unwrap();
    for text in ["", "# only a comment\n", "hello\n", "# a\nc2hvcnQ=\n"] {
        std::fs::write(&path, text).unwrap();
        assert!(KeyRing::load_or_create(&path).is_err(), "{text:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_rotated_key_file_holds_both_keys_until_the_old_one_is_retired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let old = KeyRing::load_or_create(&path).unwrap();
    let (_, wrapped) = old.new_data_key("ten_1");
    let both = KeyRing::rotate(&path).unwrap();
    assert_eq!(both.key_ids().nth(1), Some(old.current_key_id()));
    let rewrapped = both.rewrap("ten_1", &wrapped).unwrap().unwrap();
    let new = KeyRing::retire_old(&path).unwrap();
    assert_eq!(new.key_ids().count(), 1);
    assert!(new.unwrap("ten_1", &rewrapped).is_ok());
    assert!(new.unwrap("ten_1", &wrapped).is_err());
}

#[test]
fn nothing_printed_holds_a_key_or_a_secret() {
    let ring = ring(b"k");
    let (key, wrapped) = ring.new_data_key("ten_1");
    let printed = format!("{ring:?} {key:?} {wrapped:?} {:?} {:?}", secret(), HOME);
    assert!(!printed.contains(CANARY));
    assert!(
        !printed.contains("kkkk") && !printed.contains("107, 107") && !printed.contains("a2tr")
    );
}
