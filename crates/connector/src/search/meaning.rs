//! Meaning as vectors: what an index keeps of an embedding model's opinion, and the simplest of such models.
//!
//! Which model made the vectors is not known here. Whoever has one gives the index a vector for each of its
//! actions ([`Index::set_meaning`]) and [`search_hybrid`](super::search_hybrid) one for the intent.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use serde::Deserialize;

use super::{Doc, Index, words::fold};

/// Tokens read of a text.
const MOST_TOKENS: usize = 256;
/// Largest number of values a model may have.
const MOST_VALUES: usize = 200_000_000;

/// Vectors of one index's actions, one after the other, each of length one when its bytes are taken times its
/// scale. A byte a value loses nothing that ranking would notice.
pub(super) struct Vectors {
    values: Vec<i8>,
    scales: Vec<f32>,
    width: usize,
}

impl Vectors {
    /// Of vectors of one length.
    fn new(vectors: impl Iterator<Item = Vec<f32>>, width: usize) -> Self {
        let (mut values, mut scales) = (Vec::new(), Vec::new());
        for vector in vectors {
            let vector = normalised(vector);
            let largest = vector
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            values.extend(vector.iter().map(|value| (value / scale).round() as i8));
            scales.push(scale);
        }
        values.shrink_to_fit();
        scales.shrink_to_fit();
        Self {
            values,
            scales,
            width,
        }
    }

    /// What the bundled model makes of these actions.
    pub(super) fn bundled(docs: &[Doc]) -> Self {
        let model = StaticModel::bundled();
        let vectors = docs.iter().map(|doc| {
            // The title counts as much as all the rest together.
            let mut vector = model.embed(&described_text(doc));
            for (value, title) in vector
                .iter_mut()
                .zip(model.embed(&super::describe::parted(&doc.title)))
            {
                *value += title;
            }
            vector
        });
        Self::new(vectors, model.width())
    }

    pub(super) fn size(&self) -> usize {
        self.values.len() + self.scales.len() * size_of::<f32>()
    }

    /// The cosine of each action with a vector of length one; nothing for a vector of another model.
    pub(super) fn alike(&self, query: &[f32]) -> Option<Vec<f32>> {
        if query.len() != self.width {
            return None;
        }
        let rows = self.values.chunks_exact(self.width).zip(&self.scales);
        let alike = rows.map(|(row, scale)| {
            let sum: f32 = row
                .iter()
                .zip(query)
                .map(|(value, wanted)| f32::from(*value) * wanted)
                .sum();
            sum * scale
        });
        Some(alike.collect())
    }
}

/// Vectors that don't fit an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given} vectors of one length were expected for {actions} actions")]
pub struct VectorsError {
    given: usize,
    actions: usize,
}

/// What of an action is given to an embedding model.
#[must_use]
pub fn text_for_embedding(doc: &Doc) -> String {
    described_text(&doc.clone().described())
}

fn described_text(doc: &Doc) -> String {
    format!(
        "{}. {} {}",
        doc.title,
        doc.description,
        doc.search_terms.join(", ")
    )
}

/// The same direction with length one.
#[must_use]
pub fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > f32::EPSILON {
        for value in &mut vector {
            *value /= length;
        }
    }
    vector
}

impl Index {
    /// Gives the index a vector for each action, in the order it was built from. Those it has already stay.
    ///
    /// # Errors
    /// When there is not one for each action, or they differ in length.
    pub fn set_meaning(&self, vectors: Vec<Vec<f32>>) -> Result<(), VectorsError> {
        let width = vectors.first().map_or(0, Vec::len);
        if vectors.len() != self.len()
            || (width == 0 && !self.is_empty())
            || vectors.iter().any(|vector| vector.len() != width)
        {
            return Err(VectorsError {
                given: vectors.len(),
                actions: self.len(),
            });
        }
        let _ = self.meaning.set(Vectors::new(vectors.into_iter(), width));
        Ok(())
    }
}

/// A static embedding model: a vector for each word piece, and a text is the mean of its pieces (the `model2vec`
/// family). It takes microseconds and no library, and reads the files such models are published as.
pub struct StaticModel {
    pieces: HashMap<String, u32>,
    prefix: String,
    longest: usize,
    table: Table,
    width: usize,
    /// Pieces that say nothing at the start of a word of several.
    crumbs: HashSet<u32>,
}

/// The vectors of a model's pieces.
enum Table {
    Floats(Vec<f32>),
    /// Each row has its own scale.
    Bytes {
        values: &'static [u8],
        scales: Vec<f32>,
    },
}

impl Table {
    fn add_to(&self, sum: &mut [f32], piece: usize) {
        let start = piece * sum.len();
        match self {
            Self::Floats(values) => {
                for (total, value) in sum.iter_mut().zip(&values[start..]) {
                    *total += value;
                }
            }
            Self::Bytes { values, scales } => {
                let scale = scales[piece];
                for (total, value) in sum.iter_mut().zip(&values[start..]) {
                    *total += f32::from(value.cast_signed()) * scale;
                }
            }
        }
    }
}

/// Files that are no static embedding model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// `tokenizer.json` is not one, or of another kind.
    #[error("tokenizer.json: {0}")]
    Tokenizer(String),
    /// `model.safetensors` is not one, or has other tensors.
    #[error("model.safetensors: {0}")]
    Tensors(String),
}

#[derive(Deserialize)]
struct TokenizerFile {
    model: PieceModel,
}

#[derive(Deserialize)]
struct PieceModel {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    vocab: serde_json::Value,
}

#[derive(Deserialize)]
struct TensorHeader {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl StaticModel {
    /// Reads the texts of `tokenizer.json` (WordPiece) and the bytes of `model.safetensors` (a tensor
    /// `embeddings` of shape pieces × width, F32 or F16).
    ///
    /// # Errors
    /// When a file is not what it should be; the message names the fact.
    pub fn parse(tokenizer: &str, tensors: &[u8]) -> Result<Self, ModelError> {
        let file: TokenizerFile = serde_json::from_str(tokenizer)
            .map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        let kind = file.model.kind.as_deref().unwrap_or("WordPiece");
        if kind != "WordPiece" {
            return Err(ModelError::Tokenizer(format!(
                "the model is of type {kind}; only WordPiece is read"
            )));
        }
        let pieces: HashMap<String, u32> = serde_json::from_value(file.model.vocab)
            .map_err(|error| ModelError::Tokenizer(format!("vocab: {error}")))?;
        let (values, rows, width) = embeddings(tensors)?;
        if let Some((piece, _)) = pieces.iter().find(|(_, at)| **at as usize >= rows) {
            return Err(ModelError::Tensors(format!(
                "there are {rows} vectors, but the tokenizer has \"{piece}\" beyond them"
            )));
        }
        Ok(Self {
            longest: pieces.keys().map(String::len).max().unwrap_or_default(),
            pieces,
            prefix: file
                .model
                .continuing_subword_prefix
                .unwrap_or_else(|| "##".to_owned()),
            table: Table::Floats(values),
            width,
            crumbs: HashSet::new(),
        })
    }

    /// The model that is part of the product; `data/meaning.md` says what it was made of.
    #[must_use]
    pub fn bundled() -> &'static Self {
        static BUNDLED: OnceLock<StaticModel> = OnceLock::new();
        BUNDLED.get_or_init(|| {
            Self::unpack(include_bytes!("../../data/meaning.bin"))
                .expect("a test reads the file that is compiled in")
        })
    }

    /// Its file: the number of pieces, the values of each and the bytes of all their names as 32-bit numbers, the
    /// names, each ended by a line feed, the scale of each piece as a 32-bit float, a byte for each value. Numbers
    /// are little-endian.
    fn unpack(file: &'static [u8]) -> Option<Self> {
        let (head, rest) = file.split_first_chunk::<12>()?;
        let number = |at: usize| {
            let bytes = head.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let (rows, width, length) = (number(0)?, number(4)?, number(8)?);
        let (names, rest) = rest.split_at_checked(length)?;
        let (scales, values) = rest.split_at_checked(rows.checked_mul(4)?)?;
        let names = str::from_utf8(names).ok()?.lines();
        let pieces: HashMap<String, u32> = names.map(str::to_owned).zip(0..).collect();
        let scales = scales.as_chunks::<4>().0.iter();
        let fits =
            pieces.len() == rows && width > 0 && Some(values.len()) == rows.checked_mul(width);
        let short = pieces.iter().filter(|(piece, _)| piece.len() < 3);
        let crumbs = short.map(|(_, at)| *at).collect();
        fits.then(|| Self {
            crumbs,
            longest: pieces.keys().map(String::len).max().unwrap_or_default(),
            pieces,
            prefix: "##".to_owned(),
            table: Table::Bytes {
                values,
                scales: scales.map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            },
            width,
        })
    }

    /// How many values a vector has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether this is a word on its own, not a slip of one.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.pieces.contains_key(word)
    }

    /// The vector of a text; all zero when it knows no piece of it.
    #[must_use]
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.width];
        let text = fold(&text.to_lowercase());
        let words = text
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let pieces = words.flat_map(|word| self.telling(word));
        for piece in pieces.take(MOST_TOKENS) {
            self.table.add_to(&mut sum, piece as usize);
        }
        normalised(sum)
    }

    /// The pieces of a word; none of one that falls into crumbs.
    fn telling(&self, word: &str) -> Vec<u32> {
        let pieces = self.tokens(word);
        let first = pieces.first().filter(|_| pieces.len() > 1);
        let crumbs = first.is_some_and(|first| self.crumbs.contains(first));
        if crumbs {
            return Vec::new();
        }
        pieces
    }

    /// The longest known pieces from left to right; none where some part is not known.
    fn tokens(&self, word: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut start = 0;
        while start < word.len() {
            let longest = (start + self.longest).min(word.len());
            let found = (start + 1..=longest)
                .rev()
                .filter(|end| word.is_char_boundary(*end))
                .find_map(|end| {
                    let part = &word[start..end];
                    let known = if start == 0 {
                        self.pieces.get(part)
                    } else {
                        self.pieces.get(&format!("{}{part}", self.prefix))
                    };
                    known.map(|piece| (*piece, end))
                });
            let Some((piece, end)) = found else {
                return Vec::new();
            };
            tokens.push(piece);
            start = end;
        }
        tokens
    }
}

/// The tensor `embeddings` of a safetensors file: eight bytes of length, a JSON header of that length, the data.
fn embeddings(bytes: &[u8]) -> Result<(Vec<f32>, usize, usize), ModelError> {
    let wrong = |problem: &str| ModelError::Tensors(problem.to_owned());
    let (length, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or_else(|| wrong("the file is too short"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let header = rest
        .get(..length)
        .ok_or_else(|| wrong("the header is cut off"))?;
    let header: HashMap<String, serde_json::Value> = serde_json::from_slice(header)
        .map_err(|error| ModelError::Tensors(format!("the header is not JSON: {error}")))?;
    if header.contains_key("mapping") {
        return Err(wrong("models whose pieces share vectors are not read"));
    }
    let tensor = header
        .get("embeddings")
        .ok_or_else(|| wrong("there is no tensor \"embeddings\""))?;
    let tensor: TensorHeader = serde_json::from_value(tensor.clone())
        .map_err(|error| ModelError::Tensors(format!("embeddings: {error}")))?;
    let [rows, width] = tensor.shape[..] else {
        return Err(wrong("embeddings is no table"));
    };
    let count = rows
        .checked_mul(width)
        .filter(|count| *count <= MOST_VALUES);
    let count = count.ok_or_else(|| wrong("embeddings is too large"))?;
    let (start, end) = tensor.data_offsets;
    let data = rest[length..]
        .get(start..end)
        .ok_or_else(|| wrong("the data is cut off"))?;
    let values: Vec<f32> = match tensor.dtype.as_str() {
        "F32" => data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
        "F16" => data
            .as_chunks::<2>()
            .0
            .iter()
            .map(|bytes| from_half(u16::from_le_bytes(*bytes)))
            .collect(),
        other => {
            return Err(ModelError::Tensors(format!(
                "embeddings are of type {other}; F32 and F16 are read"
            )));
        }
    };
    if values.len() != count || width == 0 {
        return Err(wrong("embeddings has another size than its shape says"));
    }
    Ok((values, rows, width))
}

/// IEEE 754 binary16.
fn from_half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Meaning, search_hybrid};

    const TOKENIZER: &str = r###"{"model":{"type":"WordPiece","continuing_subword_prefix":"##",
        "vocab":{"[UNK]":0,"zorb":1,"contact":2,"call":3,"##s":4,"delete":5,"list":6}}}"###;

    fn tensors(kind: &str, rows: &[[f32; 2]]) -> Vec<u8> {
        let data: Vec<u8> = rows
            .iter()
            .flatten()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let header = serde_json::json!({ "embeddings": {
            "dtype": kind, "shape": [rows.len(), 2], "data_offsets": [0, data.len()] } });
        let header = header.to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.extend(data);
        file
    }

    /// "zorb" is no word of ours; the model knows it to mean what "contact" means.
    fn model() -> StaticModel {
        let rows = [
            [0.0, 0.0],
            [0.9, 0.1],
            [1.0, 0.0],
            [0.0, 1.0],
            [0.0, 0.1],
            [0.1, 0.1],
            [0.1, 0.1],
        ];
        StaticModel::parse(TOKENIZER, &tensors("F32", &rows)).unwrap()
    }

    fn doc(title: &str) -> Doc {
        Doc {
            title: title.to_owned(),
            ..Doc::default()
        }
    }

    #[test]
    fn a_model_finds_what_no_word_leads_to_and_words_alone_do_without_it() {
        let model = model();
        let docs = [doc("List calls"), doc("List contacts")];
        let index = Index::build(docs.iter().cloned());
        assert!(index.search("zorb", 5).is_empty());
        let query = model.embed("zorb");
        assert!(search_hybrid(&[&index], "zorb", None, Meaning::Vector(&query), 5).is_empty());
        let vectors = docs.iter().map(|doc| model.embed(&text_for_embedding(doc)));
        index.set_meaning(vectors.collect()).unwrap();
        let found = search_hybrid(&[&index], "zorb", None, Meaning::Vector(&query), 5);
        assert_eq!(found[0].1.doc, 1);
        assert_eq!(
            search_hybrid(&[&index], "calls", None, Meaning::Words, 5)[0]
                .1
                .doc,
            search_hybrid(
                &[&index],
                "calls",
                None,
                Meaning::Vector(&model.embed("calls")),
                5
            )[0]
            .1
            .doc
        );
    }

    fn alike(left: &str, right: &str) -> f32 {
        let model = StaticModel::bundled();
        let pairs = model.embed(left).into_iter().zip(model.embed(right));
        pairs.map(|(left, right)| left * right).sum()
    }

    #[test]
    fn the_bundled_model_is_whole_and_knows_what_is_near() {
        let wish = "the buyer wants his money back";
        assert!(alike(wish, "create refund") > alike(wish, "create product") + 0.2);
        assert!(alike("who is late with paying", "list overdue invoices") > 0.4);
        // A word that falls into crumbs says nothing.
        assert!(
            StaticModel::bundled()
                .embed("xqzzv")
                .iter()
                .all(|value| *value == 0.0)
        );
        assert!(StaticModel::unpack(b"short").is_none());
    }

    #[test]
    fn words_alone_do_without_any_model() {
        let index = Index::build([doc("List calls"), doc("Create refund")].into_iter());
        let find = |meaning| search_hybrid(&[&index], "reimburse a shopper", None, meaning, 5);
        assert_eq!(find(Meaning::Bundled)[0].1.doc, 1);
        assert!(find(Meaning::Words).len() <= find(Meaning::Bundled).len());
    }

    #[test]
    fn pieces_are_the_longest_known_ones() {
        assert_eq!(model().tokens("calls"), [3, 4]);
        assert!(model().tokens("callx").is_empty());
        assert_eq!(model().embed("nothing known").len(), 2);
    }

    #[test]
    fn files_that_are_no_model_are_refused_with_the_reason() {
        let rows = [[0.0, 0.0]];
        let error = |tokenizer: &str, file: &[u8]| {
            StaticModel::parse(tokenizer, file)
                .err()
                .map(|error| error.to_string())
        };
        let few = error(TOKENIZER, &tensors("F32", &rows)).unwrap();
        assert!(few.contains("1 vectors"), "{few}");
        let kind = error(TOKENIZER, &tensors("I8", &rows)).unwrap();
        assert!(kind.contains("I8"), "{kind}");
        assert!(error(TOKENIZER, b"short").unwrap().contains("too short"));
        let bpe = r#"{"model":{"type":"BPE","vocab":{}}}"#;
        assert!(error(bpe, &[]).unwrap().contains("BPE"));
        let mut cut = tensors("F32", &rows);
        cut.truncate(cut.len() - 1);
        assert!(error(TOKENIZER, &cut).unwrap().contains("cut off"));
    }

    #[test]
    fn vectors_must_fit_the_index() {
        let index = Index::build([doc("List calls")].into_iter());
        assert!(index.set_meaning(Vec::new()).is_err());
        assert!(index.set_meaning(vec![vec![1.0], vec![1.0]]).is_err());
        assert!(index.set_meaning(vec![vec![1.0]]).is_ok());
        // A query of another model has another length.
        assert!(
            search_hybrid(&[&index], "xqzzv", None, Meaning::Vector(&[1.0, 0.0]), 5).is_empty()
        );
    }

    #[test]
    fn half_precision_is_read() {
        assert_eq!(
            (from_half(0x3c00), from_half(0xc000), from_half(0)),
            (1.0, -2.0, 0.0)
        );
    }
}
