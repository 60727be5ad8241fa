//! Meaning as vectors: what an index keeps of an embedding model's opinion, and the simplest of such models.
//!
//! Which model made the vectors is not known here. Whoever has one gives the index a vector for each of its
//! actions ([`Index::set_meaning`]) and [`search_hybrid`](super::search_hybrid) one for the intent.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Doc, Index, words::fold};

/// Less alike than this is not alike.
const ALIKE: f32 = 0.25;
/// How many of the most alike take part.
const MOST_ALIKE: usize = 100;
/// Tokens read of a text.
const MOST_TOKENS: usize = 256;
/// Largest number of values a model may have.
const MOST_VALUES: usize = 200_000_000;

/// Vectors of one index's actions, each of length one, one after the other.
pub(super) struct Vectors {
    values: Vec<f32>,
    width: usize,
}

impl Vectors {
    pub(super) fn size(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }

    /// Places of the actions most alike, with the cosine.
    pub(super) fn alike(&self, query: &[f32]) -> Vec<(usize, f32)> {
        if query.len() != self.width {
            return Vec::new();
        }
        let rows = self.values.chunks_exact(self.width).enumerate();
        let mut alike: Vec<(usize, f32)> = rows
            .map(|(at, row)| (at, row.iter().zip(query).map(|(a, b)| a * b).sum()))
            .filter(|(_, cosine)| *cosine >= ALIKE)
            .collect();
        alike.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        alike.truncate(MOST_ALIKE);
        alike
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
    let doc = doc.clone().described();
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
        let values = vectors.into_iter().flat_map(normalised).collect();
        let _ = self.meaning.set(Vectors { values, width });
        Ok(())
    }
}

/// A static embedding model: a vector for each word piece, and a text is the mean of its pieces (the `model2vec`
/// family). It takes microseconds and no library, and reads the files such models are published as.
pub struct StaticModel {
    pieces: HashMap<String, u32>,
    prefix: String,
    longest: usize,
    values: Vec<f32>,
    width: usize,
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
            values,
            width,
        })
    }

    /// How many values a vector has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vector of a text; all zero when it knows no piece of it.
    #[must_use]
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.width];
        let text = fold(&text.to_lowercase());
        let words = text
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty());
        for piece in words.flat_map(|word| self.tokens(word)).take(MOST_TOKENS) {
            let start = piece as usize * self.width;
            for (total, value) in sum.iter_mut().zip(&self.values[start..]) {
                *total += value;
            }
        }
        normalised(sum)
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
    use crate::search::search_hybrid;

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
        assert!(search_hybrid(&[&index], "zorb", None, Some(&query), 5).is_empty());
        let vectors = docs.iter().map(|doc| model.embed(&text_for_embedding(doc)));
        index.set_meaning(vectors.collect()).unwrap();
        let found = search_hybrid(&[&index], "zorb", None, Some(&query), 5);
        assert_eq!(found[0].1.doc, 1);
        assert_eq!(
            search_hybrid(&[&index], "calls", None, None, 5)[0].1.doc,
            search_hybrid(&[&index], "calls", None, Some(&model.embed("calls")), 5)[0]
                .1
                .doc
        );
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
        assert!(search_hybrid(&[&index], "xqzzv", None, Some(&[1.0, 0.0]), 5).is_empty());
    }

    #[test]
    fn half_precision_is_read() {
        assert_eq!(
            (from_half(0x3c00), from_half(0xc000), from_half(0)),
            (1.0, -2.0, 0.0)
        );
    }
}
