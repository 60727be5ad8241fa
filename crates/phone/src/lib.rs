//! The phone system's service: drives calls, messages and live views.
