//! The Membrane-compatible HTTP face of the gateway: API, sign-in and connect pages.
