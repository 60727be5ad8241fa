//! A small world for tests: virtual callers and agents on a simulated clock.
