//! Signalling: transports, registrar, digest, dialogs and SDP.
