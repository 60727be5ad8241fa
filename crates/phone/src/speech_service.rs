//! Speech by a service on the network, in the form that most of them know: `POST {model, input, voice}`.

use std::io;

use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use media::speech::Provider;
use outbound::{Outbound, OutboundRequest, RequestBody};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Most bytes an answer may have: ten minutes of speech.
const ANSWER: u64 = 30 * 1024 * 1024;

/// Where and how to ask.
#[derive(Clone, Debug)]
pub struct SpeechService {
    /// Where requests go, such as `https://speech.example.com/v1/audio/speech`.
    pub url: Url,
    /// Sent as bearer token.
    pub key: Option<SecretString>,
    /// The service's name of the model.
    pub model: String,
    /// The service's name of the voice.
    pub voice: String,
}

/// A service that speaks.
#[derive(Clone)]
pub(crate) struct RemoteSpeech {
    service: SpeechService,
    outbound: Outbound,
}

impl RemoteSpeech {
    pub(crate) fn new(service: SpeechService, outbound: Outbound) -> Self {
        Self { service, outbound }
    }
}

impl std::fmt::Debug for RemoteSpeech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteSpeech")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for RemoteSpeech {
    fn name(&self) -> &str {
        "the speech service"
    }

    fn voice(&self, _language: &str) -> String {
        let SpeechService {
            url, model, voice, ..
        } = &self.service;
        format!("{url} {model} {voice}")
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn rank(&self, _language: &str) -> u8 {
        0
    }

    async fn speak(&self, text: &str, language: &str) -> io::Result<Vec<u8>> {
        let body = serde_json::json!({
            "model": self.service.model,
            "voice": self.service.voice,
            "input": text,
            "language": language,
            "response_format": "wav",
        });
        let mut request = OutboundRequest::new(Method::POST, self.service.url.clone());
        request.max_response_bytes = ANSWER;
        request.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(key) = &self.service.key {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
                .map_err(|_| io::Error::other("its key can't be sent in a header"))?;
            bearer.set_sensitive(true);
            request.headers.insert(header::AUTHORIZATION, bearer);
        }
        request.body = RequestBody::Bytes(body.to_string().into());
        let answer = self
            .outbound
            .send(request)
            .await
            .map_err(io::Error::other)?;
        if !answer.status.is_success() {
            let status = answer.status;
            return Err(io::Error::other(format!("it answered {status}")));
        }
        let bytes = answer.body.bytes().await.map_err(io::Error::other)?;
        Ok(bytes.to_vec())
    }
}
