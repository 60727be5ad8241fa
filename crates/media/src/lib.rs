//! Audio: RTP, codecs, DTMF, playing and recording on threads of its own.
