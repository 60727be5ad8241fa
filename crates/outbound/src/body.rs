//! Answer bodies: limited in size and time, decompressed where wanted.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_compression::tokio::bufread::{GzipDecoder, ZlibDecoder};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use tokio::io::AsyncRead;
use tokio::time::Instant;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::OutboundError;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, OutboundError>> + Send + 'static>>;

/// The body: a stream of chunks, or all of it by [`ResponseBody::bytes`].
pub struct ResponseBody(Chunks);

/// What a body must keep to.
pub(crate) struct Limits {
    pub(crate) target: String,
    pub(crate) max_bytes: u64,
    pub(crate) idle: Duration,
    pub(crate) deadline: Instant,
}

/// A coding of the body that we undo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
}

impl ResponseBody {
    pub(crate) fn new(raw: Chunks, coding: Coding, limits: Limits) -> Self {
        let (target, max) = (limits.target.clone(), limits.max_bytes);
        let timed = limited(timed(raw, limits), target.clone(), max);
        match coding {
            Coding::Identity => Self(timed),
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(reader(timed));
                // RFC 1952 §2.2: a file may have several members.
                decoder.multiple_members(true);
                Self(limited(decoded(decoder, target.clone()), target, max))
            }
            Coding::Deflate => Self(limited(
                decoded(ZlibDecoder::new(reader(timed)), target.clone()),
                target,
                max,
            )),
        }
    }

    /// Reads it all.
    ///
    /// # Errors
    /// As the stream's items.
    pub async fn bytes(mut self) -> Result<Bytes, OutboundError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.0.next().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all.freeze())
    }
}

impl Stream for ResponseBody {
    type Item = Result<Bytes, OutboundError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

/// Ends with an error at the first silence that is too long, and when the whole takes too long.
fn timed(raw: Chunks, limits: Limits) -> Chunks {
    Box::pin(stream::unfold(
        (raw, limits, false),
        |(mut raw, limits, over)| async move {
            if over {
                return None;
            }
            let idle_end = Instant::now() + limits.idle;
            let item =
                match tokio::time::timeout_at(idle_end.min(limits.deadline), raw.next()).await {
                    Ok(item) => item?,
                    Err(_) => Err(OutboundError::Timeout {
                        target: limits.target.clone(),
                        what: if idle_end < limits.deadline {
                            "idle"
                        } else {
                            "total"
                        },
                    }),
                };
            let over = item.is_err();
            Some((item, (raw, limits, over)))
        },
    ))
}

fn limited(chunks: Chunks, target: String, limit: u64) -> Chunks {
    Box::pin(stream::unfold(
        (chunks, 0_u64, false),
        move |(mut chunks, seen, over)| {
            let target = target.clone();
            async move {
                if over {
                    return None;
                }
                let item = chunks.next().await?;
                let seen = seen.saturating_add(item.as_ref().map_or(0, |chunk| chunk.len() as u64));
                let item = if seen > limit {
                    Err(OutboundError::TooLarge { target, limit })
                } else {
                    item
                };
                let over = item.is_err();
                Some((item, (chunks, seen, over)))
            }
        },
    ))
}

/// Lets our errors travel through a reader that only knows I/O errors.
fn reader(
    chunks: Chunks,
) -> StreamReader<impl Stream<Item = io::Result<Bytes>> + Send + 'static, Bytes> {
    StreamReader::new(chunks.map(|chunk| chunk.map_err(io::Error::other)))
}

fn decoded(decoder: impl AsyncRead + Send + 'static, target: String) -> Chunks {
    Box::pin(ReaderStream::new(decoder).map(move |chunk| {
        chunk.map_err(|error| {
            let reason = error.to_string();
            let inner = error
                .into_inner()
                .and_then(|inner| inner.downcast::<OutboundError>().ok());
            inner.map_or_else(
                || OutboundError::Protocol {
                    target: target.clone(),
                    reason,
                },
                |inner| *inner,
            )
        })
    }))
}
