//! What our own web app uses.
