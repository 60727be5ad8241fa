//! Sign-in: people, passwords, sessions and one-time links.
