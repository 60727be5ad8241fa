//! Real sockets on loopback: fake phones on both sides of the engine.

mod audio;
mod codecs;
mod digits;
mod many;
mod mixing;
mod phone;
mod recording;
