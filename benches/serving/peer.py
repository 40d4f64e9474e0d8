"""A peer of the serving bench: JSON on standard output.

Arguments: the peer (`txtai` or `chromadb`), a file of what is searched and for what, the vectors of the texts
(little-endian f32) and the folder of the model, which embeds the questions.
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


def txtai(told, vectors, model):
    from txtai import Embeddings

    place = {text: at for at, text in enumerate(told["texts"])}

    def embed(texts):
        if all(text in place for text in texts):
            return vectors[[place[text] for text in texts]]
        return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    index = Embeddings(hybrid=True, method="external", transform=embed, content=False)
    index.index(zip(told["ids"], told["texts"]))
    return lambda question: [found for found, _ in index.search(question, NEAREST)]


def chromadb(told, vectors, model):
    import chromadb

    index = chromadb.EphemeralClient().create_collection(
        "texts", metadata={"hnsw:space": "cosine"}, embedding_function=None
    )
    for start in range(0, len(vectors), 5000):
        end = start + 5000
        index.add(ids=told["ids"][start:end], documents=told["texts"][start:end], embeddings=vectors[start:end])

    def search(question):
        vector = model.encode([question], normalize_embeddings=True, show_progress_bar=False)
        return index.query(query_embeddings=vector, n_results=NEAREST)["ids"][0]

    return search


def main():
    name, told_file, vectors_file, model_folder = sys.argv[1:]
    with open(told_file, encoding="utf-8") as file:
        told = json.load(file)
    vectors = numpy.fromfile(vectors_file, "<f4").reshape(len(told["texts"]), -1)
    model = SentenceTransformer(model_folder, device="cpu")
    search = {"txtai": txtai, "chromadb": chromadb}[name](told, vectors, model)
    for question in told["others"][:WARM_UP]:
        search(question)
    taken, found = [], []
    for question in told["judged"]:
        started = time.perf_counter()
        found.append(search(question))
        taken.append((time.perf_counter() - started) * 1e3)
    questions = told["others"][WARM_UP:]
    started = time.perf_counter()
    with ThreadPoolExecutor(told["clients"]) as clients:
        list(clients.map(search, questions))
    at_once = time.perf_counter() - started
    print(
        json.dumps(
            {
                "name": name,
                "found": found,
                "p50_ms": statistics.median(taken),
                "p99_ms": sorted(taken)[len(taken) * 99 // 100],
                "per_s_1": 1e3 * len(taken) / sum(taken),
                "per_s_16": len(questions) / at_once,
            }
        )
    )


main()
