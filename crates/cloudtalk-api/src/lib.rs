//! The CloudTalk-compatible HTTP face of the phone system.
