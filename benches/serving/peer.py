"""A peer of the serving bench: JSON on standard output.

Arguments: the peer (`txtai` or `chromadb`), then `ingest`, a file of texts and the folder of the model; or `search`, a
file of what is searched and for what, the folder of the model, which embeds the questions, and the vectors of the texts
(little-endian f32).
"""

import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ANONYMIZED_TELEMETRY"] = "False"

import numpy
from sentence_transformers import SentenceTransformer

WARM_UP = 50
NEAREST = 10


def txtai(told, embed):
    from txtai import Embeddings

    index = Embeddings(hybrid=True, method="external", transform=embed, content=False)
    index.index(zip(told["ids"], told["texts"]))
    return lambda question: [found for found, _ in index.search(question, NEAREST)]


def chromadb(told, embed):
    import chromadb

    index = chromadb.EphemeralClient().create_collection(
        "texts", metadata={"hnsw:space": "cosine"}, embedding_function=None
    )
    for start in range(0, len(told["texts"]), 5000):
        ids, texts = told["ids"][start : start + 5000], told["texts"][start : start + 5000]
        index.add(ids=ids, documents=texts, embeddings=embed(texts))
    return lambda question: index.query(query_embeddings=embed([question]), n_results=NEAREST)["ids"][0]


PEERS = {"txtai": txtai, "chromadb": chromadb}


def ingest(peer, told, embed):
    embed(["fever"])
    started = time.perf_counter()
    search = peer(told, embed)
    seconds = time.perf_counter() - started
    search("fever")
    return {"texts": len(told["texts"]), "per_s": len(told["texts"]) / seconds}


def search(peer, told, embed):
    ask = peer(told, embed)
    for question in told["others"][:WARM_UP]:
        ask(question)
    taken, found = [], []
    for question in told["judged"]:
        started = time.perf_counter()
        found.append(ask(question))
        taken.append((time.perf_counter() - started) * 1e3)
    questions = told["others"][WARM_UP:]
    started = time.perf_counter()
    with ThreadPoolExecutor(told["clients"]) as clients:
        list(clients.map(ask, questions))
    at_once = time.perf_counter() - started
    return {
        "found": found,
        "p50_ms": statistics.median(taken),
        "p99_ms": sorted(taken)[len(taken) * 99 // 100],
        "per_s_1": 1e3 * len(taken) / sum(taken),
        "per_s_16": len(questions) / at_once,
    }


def main():
    name, what, told_file, model_folder, *vectors_file = sys.argv[1:]
    with open(told_file, encoding="utf-8") as file:
        told = json.load(file)
    model = SentenceTransformer(model_folder, device="cpu")
    model.max_seq_length = 256
    known = {}
    if vectors_file:
        vectors = numpy.fromfile(vectors_file[0], "<f4").reshape(len(told["texts"]), -1)
        known = dict(zip(told["texts"], vectors))

    def embed(texts):
        if all(text in known for text in texts):
            return numpy.array([known[text] for text in texts])
        return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    measure = {"ingest": ingest, "search": search}[what]
    print(json.dumps({"name": name, **measure(PEERS[name], told, embed)}))


main()
