"""What faiss's HNSW takes over the vectors of a bench: JSON on standard output.

Arguments: file of rows, file of queries (little-endian f32), dimension, nearest wanted, widths with commas between.
"""

import json
import statistics
import sys
import time

import faiss
import numpy

rows_file, queries_file, dimension, nearest, widths = sys.argv[1:]
dimension, nearest = int(dimension), int(nearest)
rows = numpy.fromfile(rows_file, "<f4").reshape(-1, dimension)
queries = numpy.fromfile(queries_file, "<f4").reshape(-1, dimension)

flat = faiss.IndexFlatIP(dimension)
flat.add(rows)
_, expected = flat.search(queries, nearest)

graph = faiss.IndexHNSWFlat(dimension, 16, faiss.METRIC_INNER_PRODUCT)
graph.hnsw.efConstruction = 200
faiss.omp_set_num_threads(2)
started = time.perf_counter()
graph.add(rows)
build_s = time.perf_counter() - started

faiss.omp_set_num_threads(1)


def measure(index):
    taken, same = [], 0
    for number in range(len(queries)):
        started = time.perf_counter()
        _, found = index.search(queries[number : number + 1], nearest)
        taken.append((time.perf_counter() - started) * 1e3)
        same += len(set(found[0]) & set(expected[number]))
    return {"recall": same / (len(queries) * nearest), "ms": statistics.median(taken)}


searches = []
for width in map(int, widths.split(",")):
    graph.hnsw.efSearch = width
    searches.append({"width": width, **measure(graph)})
print(json.dumps({"version": faiss.__version__, "build_s": build_s, "searches": searches, "scan": measure(flat)}))
