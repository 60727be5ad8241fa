//! Text to sound, by whoever can speak it: flite for English, espeak-ng for the rest, and others that are given.
//!
//! The two programs may be missing; they run as child processes and are not linked. The text goes in through a file
//! or a pipe, never through a shell or an argument.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
};

use crate::{
    Sound,
    import::{self, ImportError},
    wav,
};

/// Longest text, in bytes: some five minutes of speech.
const TEXT: usize = 5_000;
/// Most bytes an engine may produce: ten minutes at 22 kHz.
const OUTPUT: u64 = 27_000_000;
/// How long an engine may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Samples kept in memory: nearly six minutes of prompts at both rates, 16 MB.
const MEMORY: usize = 8_000_000;
/// Engines running at once: rendering must not starve calls.
const AT_ONCE: usize = 2;

/// Why a text could not be spoken.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The text is empty.
    #[error("there is no text to speak")]
    Empty,
    /// The text is longer than any prompt.
    #[error("the text has {length} bytes, more than {TEXT}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The language is no language tag.
    #[error("{language:?} is no language tag")]
    Language {
        /// What was given.
        language: String,
    },
    /// Neither program is installed, and nobody else speaks.
    #[error("no speech program is installed: install flite or espeak-ng")]
    NoEngine,
    /// A program or service failed.
    #[error("{engine} failed: {reason}")]
    Engine {
        /// Its name.
        engine: String,
        /// What it said, or what happened to it.
        reason: String,
    },
    /// What it produced can't be read.
    #[error("{engine} produced no usable sound")]
    Output {
        /// Its name.
        engine: String,
        /// Why.
        #[source]
        source: ImportError,
    },
}

/// Somebody who speaks.
#[async_trait]
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Its name, for messages and as part of the cache's key.
    fn name(&self) -> &str;

    /// Whose voice speaks a language, as part of the cache's key: another voice is spoken anew.
    fn voice(&self, language: &str) -> String;

    /// Whether it can be asked at all.
    fn is_ready(&self) -> bool;

    /// In which order providers are asked: low comes first.
    fn rank(&self, language: &str) -> u8;

    /// Speaks a text into an audio file of any kind that [`crate::import`] reads.
    ///
    /// # Errors
    /// When it can't; the next in order is asked then.
    async fn speak(&self, text: &str, language: &str) -> io::Result<Vec<u8>>;
}

#[derive(Debug)]
struct Flite {
    /// Where its files go.
    folder: PathBuf,
}

#[derive(Debug)]
struct Espeak;

fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

#[async_trait]
impl Provider for Flite {
    fn name(&self) -> &'static str {
        "flite"
    }

    fn voice(&self, _language: &str) -> String {
        "slt".to_owned()
    }

    fn is_ready(&self) -> bool {
        is_installed(self.name())
    }

    /// It speaks everything as if it were English.
    fn rank(&self, language: &str) -> u8 {
        match language.split('-').next() {
            Some("en") => 10,
            _ => 30,
        }
    }

    async fn speak(&self, text: &str, _language: &str) -> io::Result<Vec<u8>> {
        flite(&self.folder, text).await
    }
}

#[async_trait]
impl Provider for Espeak {
    fn name(&self) -> &'static str {
        "espeak-ng"
    }

    fn voice(&self, language: &str) -> String {
        language.to_owned()
    }

    fn is_ready(&self) -> bool {
        is_installed(self.name())
    }

    fn rank(&self, _language: &str) -> u8 {
        20
    }

    async fn speak(&self, text: &str, language: &str) -> io::Result<Vec<u8>> {
        espeak(text, language).await
    }
}

/// The programs of this machine, for a check of its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// English.
    pub flite: bool,
    /// Every other language.
    pub espeak_ng: bool,
}

/// Looks which programs are installed.
#[must_use]
pub fn available() -> Available {
    Available {
        flite: is_installed("flite"),
        espeak_ng: is_installed("espeak-ng"),
    }
}

/// Speaks texts and remembers how they sound, in memory and on disk.
#[derive(Debug)]
pub struct Speech {
    cache_dir: PathBuf,
    providers: Vec<Arc<dyn Provider>>,
    memory: Mutex<Memory>,
    running: Semaphore,
}

#[derive(Debug, Default)]
struct Memory {
    sounds: HashMap<String, (Arc<Sound>, u64)>,
    samples: usize,
    uses: u64,
}

impl Speech {
    /// Keeps rendered sounds in a folder, which is made when the first one comes. Others than the two programs may
    /// speak as well.
    #[must_use]
    pub fn new(cache_dir: PathBuf, others: Vec<Arc<dyn Provider>>) -> Self {
        let mut providers = others;
        providers.push(Arc::new(Flite {
            folder: cache_dir.clone(),
        }));
        providers.push(Arc::new(Espeak));
        Self {
            cache_dir,
            providers,
            memory: Mutex::default(),
            running: Semaphore::new(AT_ONCE),
        }
    }

    /// Speaks a text in a language (`en`, `sk`, `de-AT`). The same again comes from the cache.
    ///
    /// # Errors
    /// When the text is empty or too long, or no program can speak it. The call can go on.
    pub async fn render(&self, text: &str, language: &str) -> Result<Arc<Sound>, SpeechError> {
        let text = text.trim();
        let language = check(text, language)?;
        let mut providers: Vec<_> = self.providers.iter().collect();
        providers.sort_by_key(|provider| provider.rank(&language));
        let mut failure = SpeechError::NoEngine;
        for provider in providers {
            let key = key(provider.as_ref(), text, &language);
            if let Some(sound) = self.recall(&key).await {
                return Ok(sound);
            }
            if !provider.is_ready() {
                continue;
            }
            match self.run(provider.as_ref(), text, &language).await {
                Ok(sound) => return Ok(self.remember(key, sound).await),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a prompt could not be spoken; the next provider is asked"
                    );
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    async fn recall(&self, key: &str) -> Option<Arc<Sound>> {
        if let Some(sound) = self.memory().get(key) {
            return Some(sound);
        }
        let bytes = tokio::fs::read(self.file(key)).await.ok()?;
        // A file that was cut off is rendered again.
        let sound = Arc::new(wav::read(&bytes).ok()?);
        self.memory().put(key.to_owned(), Arc::clone(&sound));
        Some(sound)
    }

    async fn remember(&self, key: String, sound: Sound) -> Arc<Sound> {
        let sound = Arc::new(sound);
        if let Err(error) = self.store(&key, &sound).await {
            tracing::warn!(%error, folder = %self.cache_dir.display(), "a spoken prompt could not be cached on disk");
        }
        self.memory().put(key, Arc::clone(&sound));
        sound
    }

    /// Writes under another name first, so that nobody reads half a file.
    async fn store(&self, key: &str, sound: &Sound) -> io::Result<()> {
        tokio::fs::create_dir_all(&self.cache_dir).await?;
        let draft = self
            .cache_dir
            .join(format!("{key}.{:08x}.draft", rand::random::<u32>()));
        tokio::fs::write(&draft, wav::write(sound)).await?;
        tokio::fs::rename(&draft, self.file(key)).await
    }

    fn file(&self, key: &str) -> PathBuf {
        self.cache_dir.join(format!("{key}.wav"))
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(
        &self,
        provider: &dyn Provider,
        text: &str,
        language: &str,
    ) -> Result<Sound, SpeechError> {
        let failed = |reason: String| SpeechError::Engine {
            engine: provider.name().to_owned(),
            reason,
        };
        let _turn = self
            .running
            .acquire()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let speaking = provider.speak(text, language);
        let bytes = match tokio::time::timeout(TIMEOUT, speaking).await {
            Ok(done) => done.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed(format!("no answer within {} s", TIMEOUT.as_secs()))),
        };
        // Programs that write to a pipe can't fill in their file's length, which only our own reader takes.
        if let Ok(sound) = wav::read(&bytes) {
            return Ok(sound);
        }
        match tokio::task::spawn_blocking(move || import::import(bytes)).await {
            Ok(Ok(imported)) => Ok(Sound::new(imported.narrow).with_wide(imported.wide)),
            Ok(Err(source)) => Err(SpeechError::Output {
                engine: provider.name().to_owned(),
                source,
            }),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// flite seeks in what it writes, so both ways go through files.
async fn flite(folder: &Path, text: &str) -> io::Result<Vec<u8>> {
    tokio::fs::create_dir_all(folder).await?;
    let draft = Draft(folder.join(format!("flite-{:016x}", rand::random::<u64>())));
    let (input, output) = (draft.0.with_extension("txt"), draft.0.with_extension("out"));
    tokio::fs::write(&input, text).await?;
    let mut command = Command::new("flite");
    command
        .args(["-voice", "slt", "-f"])
        .arg(&input)
        .arg("-o")
        .arg(&output);
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await?;
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    read_bounded(&output).await
}

/// The files of one run, erased however it ends.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        for extension in ["txt", "out"] {
            let _ = std::fs::remove_file(self.0.with_extension(extension));
        }
    }
}

async fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    if file.metadata().await?.len() > OUTPUT {
        return Err(io::Error::other("it produced too much"));
    }
    let mut bytes = Vec::new();
    file.take(OUTPUT).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

async fn espeak(text: &str, language: &str) -> io::Result<Vec<u8>> {
    let mut command = Command::new("espeak-ng");
    command.args([
        "-v", language, "-s", "150", "-b", "1", "--stdin", "--stdout",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("its pipes are missing"));
    };
    let feed = async move {
        stdin.write_all(text.as_bytes()).await?;
        stdin.shutdown().await
    };
    let mut bytes = Vec::new();
    let mut stdout = stdout.take(OUTPUT + 1);
    let (fed, read) = tokio::join!(feed, stdout.read_to_end(&mut bytes));
    fed?;
    read?;
    if bytes.len() as u64 > OUTPUT {
        return Err(io::Error::other("it produced too much"));
    }
    let status = child.wait().await?;
    if status.success() {
        Ok(bytes)
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

/// The language in the spelling the programs know, if the request is sound.
fn check(text: &str, language: &str) -> Result<String, SpeechError> {
    if text.is_empty() {
        return Err(SpeechError::Empty);
    }
    if text.len() > TEXT {
        return Err(SpeechError::TooLong { length: text.len() });
    }
    let is_tag = language.starts_with(|c: char| c.is_ascii_alphabetic())
        && (2..=16).contains(&language.len())
        && language
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !is_tag {
        return Err(SpeechError::Language {
            language: language.to_owned(),
        });
    }
    Ok(language.to_ascii_lowercase().replace('_', "-"))
}

fn key(provider: &dyn Provider, text: &str, language: &str) -> String {
    let mut hash = Sha256::new();
    for part in [provider.name(), &provider.voice(language), language, text] {
        hash.update(part);
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

impl Memory {
    fn get(&mut self, key: &str) -> Option<Arc<Sound>> {
        self.uses += 1;
        let (sound, used) = self.sounds.get_mut(key)?;
        *used = self.uses;
        Some(Arc::clone(sound))
    }

    /// Keeps a sound, forgetting those that were not used for longest.
    fn put(&mut self, key: String, sound: Arc<Sound>) {
        self.uses += 1;
        self.samples += sound.size();
        if let Some((before, _)) = self.sounds.insert(key, (sound, self.uses)) {
            self.samples -= before.size();
        }
        while self.samples > MEMORY {
            let Some(oldest) = self
                .sounds
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| key.clone())
            else {
                return;
            };
            if let Some((sound, _)) = self.sounds.remove(&oldest) {
                self.samples -= sound.size();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech() -> (tempfile::TempDir, Speech) {
        let folder = tempfile::tempdir().expect("a folder");
        let speech = Speech::new(folder.path().join("speech"), Vec::new());
        (folder, speech)
    }

    #[tokio::test]
    async fn english_and_slovak_are_spoken_once_and_then_remembered() {
        let installed = available();
        assert!(
            installed.flite && installed.espeak_ng,
            "tests need flite and espeak-ng: {installed:?}"
        );
        let (_folder, speech) = speech();
        for (text, language) in [
            ("Welcome. For sales press one.", "en"),
            ("Vitajte. Pre obchod stlačte jednotku.", "sk"),
        ] {
            let sound = speech.render(text, language).await.expect("spoken");
            assert!(
                (1_000..10_000).contains(&sound.duration().as_millis()),
                "{:?}",
                sound.duration()
            );
            assert!(sound.samples().iter().any(|s| s.abs() > 2_000));
            let again = speech.render(text, language).await.expect("remembered");
            assert!(Arc::ptr_eq(&sound, &again));
            let reopened = Speech::new(speech.cache_dir.clone(), Vec::new());
            let read = reopened.render(text, language).await;
            assert!(read.expect("read from disk") == sound, "{text}");
        }
        let files = std::fs::read_dir(&speech.cache_dir)
            .expect("the cache")
            .count();
        assert_eq!(files, 2, "nothing but the two sounds is left behind");
    }

    #[tokio::test]
    async fn text_is_never_taken_for_an_option_or_a_command() {
        let (folder, speech) = speech();
        let mark = folder.path().join("mark");
        let text = format!(
            "--version; touch {0} $(touch {0}) `touch {0}`",
            mark.display()
        );
        for language in ["en", "sk"] {
            let sound = speech.render(&text, language).await.expect("spoken");
            assert!(sound.duration().as_millis() > 500);
        }
        assert!(!mark.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_spoken_is_refused() {
        let (_folder, speech) = speech();
        assert!(matches!(
            speech.render(" ", "en").await,
            Err(SpeechError::Empty)
        ));
        assert!(matches!(
            speech.render(&"a".repeat(5_001), "en").await,
            Err(SpeechError::TooLong { length: 5_001 })
        ));
        for language in ["-w", "../en", "e", "en;ls", ""] {
            assert!(
                matches!(
                    speech.render("a", language).await,
                    Err(SpeechError::Language { .. })
                ),
                "{language}"
            );
        }
    }

    /// Speaks a beep, if it is not out of order.
    #[derive(Debug)]
    struct Beeper {
        works: bool,
    }

    #[async_trait]
    impl Provider for Beeper {
        fn name(&self) -> &str {
            "beeper"
        }

        fn voice(&self, language: &str) -> String {
            language.to_owned()
        }

        fn is_ready(&self) -> bool {
            true
        }

        fn rank(&self, _: &str) -> u8 {
            0
        }

        async fn speak(&self, _: &str, _: &str) -> io::Result<Vec<u8>> {
            if self.works {
                Ok(wav::write(&crate::tone::beep()))
            } else {
                Err(io::Error::other("out of order"))
            }
        }
    }

    #[tokio::test]
    async fn the_one_that_is_given_speaks_first_and_the_programs_when_it_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let speech = |works| {
            let others: Vec<Arc<dyn Provider>> = vec![Arc::new(Beeper { works })];
            Speech::new(folder.path().to_owned(), others)
        };
        let failing = speech(false).render("Hello there.", "en").await;
        assert_ne!(*failing.expect("flite speaks"), crate::tone::beep());
        let working = speech(true).render("Hello there.", "en").await;
        assert_eq!(*working.expect("spoken"), crate::tone::beep());
        // What it said once is known even while it is out of order.
        let cached = speech(false).render("Hello there.", "en").await;
        assert_eq!(*cached.expect("known"), crate::tone::beep());
    }

    #[test]
    fn memory_forgets_what_was_not_used_for_longest() {
        let mut memory = Memory::default();
        let long = Arc::new(Sound::new(vec![0; MEMORY / 2]));
        memory.put("a".to_owned(), Arc::clone(&long));
        memory.put("b".to_owned(), Arc::clone(&long));
        assert!(memory.get("a").is_some());
        memory.put("c".to_owned(), long);
        assert!(memory.get("b").is_none());
        assert!(memory.get("a").is_some() && memory.get("c").is_some());
    }
}
