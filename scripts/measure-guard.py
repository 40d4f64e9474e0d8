#!/usr/bin/env python3
"""Measures what guarding costs and how soon it works, on a server of its own: one table for each question.

usage: measure-guard.py BINARY [audit] [timing] [erasure]

audit    what it costs that a read waits until its row of the audit trail is on the disk: two servers, one that has reads
         wait, asked in turn; and of the mean search on each, how much its row took, by the server's own figures
timing   whether a patient's token can tell by the clock that others' and labelled records exist: two servers, one with
         them and one without, asked in turn; AUC 0.5 is no difference
erasure  from asking for an erasure, and from sending that a record is gone, to the first search without it, while four
         clients search and one sends; then a look through every byte of the data folder

ANAMNESIS_MODEL_DIR must hold the model. The clock is the machine's: measure on one that does nothing else.
"""

import base64
import http.client
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HEADERS = {"Content-Type": "application/json"}
FHIR = "application/fhir+json"
WORDS = ["aspirin", "chest pain", "fever", "cough", "rash", "salbutamol", "glucose", "asthma"]
RS = "user/*.rs"
REST = 0.005


class Server:
    """A server of the binary in a process of its own, with one source."""

    def __init__(self, binary, folder, more=""):
        self.binary, self.folder = binary, pathlib.Path(folder)
        (self.folder / "development.key").write_text("a secret of this measurement and of nobody else, forty bytes")
        (self.folder / "anamnesis.toml").write_text(
            'data_dir = "data"\ndevelopment_key_file = "development.key"\nlisten = "127.0.0.1:0"\n'
            'operations_listen = "127.0.0.1:0"\nlog_format = "json"\n' + more + '[[source]]\nname = "ehr"\n'
        )
        command = [binary, "serve", "--config", str(self.folder / "anamnesis.toml")]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            fields = json.loads(line).get("fields", {}) if line.startswith("{") else {}
            if fields.get("message") == "serving":
                self.address, self.operations = fields["address"], fields["operations"]
                break
        else:
            sys.exit("the server didn't start")
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()

    def token(self, scopes, *options):
        command = [self.binary, "token", "--config", str(self.folder / "anamnesis.toml"), "--scopes", scopes]
        return subprocess.check_output([*command, "--lifetime-s", "36000", *options], text=True).strip()

    def client(self, token):
        return Client(self.address, token)

    def figures(self):
        """Each series of the metrics with its value."""
        connection = http.client.HTTPConnection(self.operations, timeout=60)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Client:
    """One connection that is kept."""

    def __init__(self, address, token):
        self.address, self.token = address, token
        self.connection = http.client.HTTPConnection(address, timeout=60)

    def ask(self, method, path, body=None, content="application/json"):
        """Status, body and milliseconds."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": content, "Authorization": f"Bearer {self.token}"}
        begun = time.perf_counter()
        try:
            self.connection.request(method, path, data, headers)
            reply = self.connection.getresponse()
        except (http.client.HTTPException, ConnectionError):
            # The server lets a connection go that rests for five seconds.
            self.connection.close()
            begun = time.perf_counter()
            self.connection.request(method, path, data, headers)
            reply = self.connection.getresponse()
        text = reply.read()
        return reply.status, text, (time.perf_counter() - begun) * 1e3

    def send(self, resources):
        """Sends records and waits until they can be searched."""
        entries = [{"resource": resource} for resource in resources]
        body = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        status, text, _ = self.ask("POST", "/v1/sources/ehr/records", body, FHIR)
        assert status == 202, text
        receipt = json.loads(text)["receipt"]
        while json.loads(self.ask("GET", f"/v1/receipts/{receipt}")[1])["state"] != "indexed":
            time.sleep(0.05)


def patient(number):
    return {"resourceType": "Patient", "id": number, "name": [{"given": ["Ana"], "family": f"Family{number}"}]}


def note(number, person, text, label=None):
    meta = {"versionId": "1", "lastUpdated": "2024-03-01T08:00:00Z"}
    if label:
        system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        meta["security"] = [{"system": system, "code": label}]
    attachment = {"contentType": "text/plain", "data": base64.b64encode(text.encode()).decode()}
    return {"resourceType": "DocumentReference", "id": number, "status": "current", "meta": meta,
            "subject": {"reference": f"Patient/{person}"}, "date": "2024-03-01T08:00:00Z",
            "content": [{"attachment": attachment}]}


def shared():
    rows = [patient("p1")]
    for number in range(30):
        words = [WORDS[number % 8], WORDS[number * 3 % 8]]
        rows.append(note(f"n{number}", "p1", f"PLAN\nSeen for {words[0]} on day {number}; {words[1]} reviewed."))
    return rows


def hidden():
    rows = [note(f"h{number}", "p1", f"In confidence: {WORDS[number % 8]} and {WORDS[number % 5]}.", "PSY")
            for number in range(30)]
    for person in range(2, 202):
        rows.append(patient(f"p{person}"))
        rows += [note(f"x{person}-{number}", f"p{person}", f"{WORDS[(person + number) % 8]} and aspirin for fever.")
                 for number in range(3)]
    return rows


def p(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def auc(left, right):
    """How often one of the right is longer than one of the left, ties by halves; 0.5 to 1 whichever way it goes."""
    joined = sorted([(value, 0) for value in left] + [(value, 1) for value in right])
    ranks, at = 0.0, 0
    while at < len(joined):
        end = at
        while end < len(joined) and joined[end][0] == joined[at][0]:
            end += 1
        ranks += (at + 1 + end) / 2 * sum(of for _, of in joined[at:end])
        at = end
    share = (ranks - len(right) * (len(right) + 1) / 2) / (len(left) * len(right))
    return max(share, 1 - share)


def audit(binary, folder):
    servers = []
    for name, more in [("soon", ""), ("waits", "[access]\naudit_reads_wait = true\n")]:
        (pathlib.Path(folder) / name).mkdir()
        server = Server(binary, pathlib.Path(folder) / name, more)
        server.client(server.token("system/*.crud")).send(shared() + hidden())
        servers.append(server)
    clients = [server.client(server.token(RS)) for server in servers]
    requests = {
        "whoami": lambda n: ("GET", "/v1/whoami", None),
        "search": lambda n: ("POST", "/v1/search", {"query": f"{WORDS[n % 8]} {n}", "limit": 10}),
        "answer": lambda n: ("POST", "/v1/answer", {"question": f"Why was she seen, with {WORDS[n % 8]} {n}?",
                                                    "patient": "p1"}),
    }
    print("\n| audit | p50 ms, the row on the disk later | before the answer |\n|---|---:|---:|")
    spent = []
    for name, request in requests.items():
        before = [server.figures() for server in servers]
        taken = in_turn(400, lambda side, n: clients[side].ask(*request(n)))
        print(f"| {name} | {statistics.median(taken[0]):.2f} | {statistics.median(taken[1]):.2f} |")
        if name == "search":
            spent = [of_the_searches(server.figures(), earlier) for server, earlier in zip(servers, before)]
    print("\n| the searches, by the servers' figures | the row on the disk later | before the answer |\n|---|---:|---:|")
    print("| mean search, ms | " + " | ".join(f"{search * 1e3:.3f}" for search, _ in spent) + " |")
    print("| mean time that its row took, ms | " + " | ".join(f"{row * 1e3:.3f}" for _, row in spent) + " |")
    shares = " | ".join(f"{row / search:.1%}" for search, row in spent)
    print(f"| share, at most: words are marked meanwhile | {shares} |")
    for server in servers:
        server.stop()


def of_the_searches(figures, earlier):
    """Mean seconds of a search, and of its audit row, where nothing but searches came in between."""
    def mean(name, label=""):
        def grown(kind):
            series = [key for key in figures if key.startswith(f"anamnesis_{name}_seconds_{kind}{{") and label in key]
            return sum(figures[key] - earlier.get(key, 0) for key in series)
        return grown("sum") / grown("count")
    return mean("search_latency"), mean("audit", 'class="read"')


def ids(server, cleared):
    body = {"query": "anything", "mode": "dense", "limit": 100, "patient": "p1"}
    hits = json.loads(server.client(cleared).ask("POST", "/v1/search", body)[1])["hits"]
    return [hit["document"] for hit in hits if "confidence" in hit["text"]]


def timing(binary, folder):
    worlds = []
    for name, more in [("plain", []), ("full", hidden())]:
        (pathlib.Path(folder) / name).mkdir()
        server = Server(binary, pathlib.Path(folder) / name)
        server.client(server.token("system/*.crud")).send(shared() + more)
        worlds.append(server)
    secret = ids(worlds[1], worlds[1].token(RS, "--sensitivity", "PSY"))
    absent = "0" * 32
    routes = {
        "GET /v1/patients": lambda _: ("GET", "/v1/patients", None),
        "GET /v1/patients/{id}/context": lambda _: ("GET", "/v1/patients/p1/context", None),
        "GET /v1/patients/{id}/access-report": lambda _: ("GET", "/v1/patients/p7/access-report", None),
        "GET /v1/whoami": lambda _: ("GET", "/v1/whoami", None),
        "GET /v1/freshness": lambda _: ("GET", "/v1/freshness", None),
        "GET /v1/documents/{id}, hidden": lambda n: ("GET", f"/v1/documents/{secret[n % len(secret)]}", None),
        "POST /v1/documents/{id}/similar, hidden":
            lambda n: ("POST", f"/v1/documents/{secret[n % len(secret)]}/similar", {}),
        "POST /v1/search": lambda n: ("POST", "/v1/search", {"query": f"{WORDS[n % 8]} {n}", "limit": 10}),
        "POST /v1/search, another patient":
            lambda n: ("POST", "/v1/search", {"query": f"{WORDS[n % 8]} {n}", "patient": "p7"}),
        "POST /v1/facets": lambda n: ("POST", "/v1/facets", {"query": WORDS[n % 8]}),
        "POST /v1/answer": lambda n: ("POST", "/v1/answer", {"question": f"Why was she seen, {WORDS[n % 8]} {n}?"}),
    }
    clients = [world.client(world.token("patient/*.rs", "--patient", "p1")) for world in worlds]
    print("\n| timing: a patient's token, with and without hidden records | p50 ms | AUC |\n|---|---:|---:|")
    for name, request in routes.items():
        print(row_of(name, lambda side, n: clients[side].ask(*request(n))))
    for name, known, unknown in [
        ("GET /v1/documents/{id}, hidden or absent", secret[0], absent),
        ("GET /v1/patients/{id}/context, hidden or absent", "p7", "p999"),
    ]:
        path = "/v1/documents/" if "documents" in name else "/v1/patients/"
        ending = "" if "documents" in name else "/context"
        print(row_of(name, lambda side, n: clients[1].ask("GET", f"{path}{[unknown, known][side]}{ending}")))
    for world in worlds:
        world.stop()


def in_turn(count, ask):
    """Milliseconds of two sides, asked alternately."""
    taken = [[], []]
    for number in range(count):
        # Which of the two comes first changes, so that what comes before favours neither.
        for side in random.sample([0, 1], 2):
            taken[side].append(ask(side, number)[2])
    return [side[count // 10:] for side in taken]


def row_of(name, ask):
    warm = in_turn(400, ask)
    return f"| {name} | {statistics.median(warm[0]):.2f} / {statistics.median(warm[1]):.2f} | {auc(*warm):.3f} |"


def erasure(binary, folder, times=100):
    server = Server(binary, folder)
    sender, reader = server.client(server.token("system/*.crud")), server.client(server.token(RS))
    admin = server.client(server.token("anamnesis/admin.erase"))
    people = [f"e{number}" for number in range(times)]
    rows = []
    for person in people:
        rows += [patient(person), note(f"n-{person}", person, f"PLAN\nShe mentions quokka{person}x and a cough."),
                 note(f"g-{person}", person, f"She mentions tamarin{person}x.")]
    sender.send(shared() + hidden() + rows)
    stop = threading.Event()
    threads = [threading.Thread(target=search_on, args=(server, stop, number)) for number in range(4)]
    threads.append(threading.Thread(target=send_on, args=(server, stop)))
    [thread.start() for thread in threads]
    gone, erased = [], []
    for person in people:
        delete = {"resourceType": "Bundle", "type": "transaction",
                  "entry": [{"request": {"method": "DELETE", "url": f"DocumentReference/g-{person}"}}]}
        begun = time.perf_counter()
        assert sender.ask("POST", "/v1/sources/ehr/records", delete, FHIR)[0] == 202
        gone.append(until_gone(reader, f"tamarin{person}x", begun))
        begun = time.perf_counter()
        asked = {"patient": person, "reason": "a measurement"}
        status, text, _ = admin.ask("POST", "/v1/admin/erasures", asked)
        assert status == 202, text
        erased.append(until_gone(reader, f"quokka{person}x", begun))
        last = json.loads(text)["id"]
    stop.set()
    [thread.join() for thread in threads]
    while json.loads(admin.ask("GET", f"/v1/admin/erasures/{last}")[1])["state"] == "under_way":
        time.sleep(0.2)
    left = looked_through(server.folder / "data", people)
    server.stop()
    print("\n| to the first search without it, milliseconds, under load | p50 | p99 | longest |\n|---|---:|---:|---:|")
    for name, taken in [("a record said to be gone", gone), ("a patient to be erased", erased)]:
        print(f"| {name} ({len(taken)}) | {p(taken, 0.5):.0f} | {p(taken, 0.99):.0f} | {max(taken):.0f} |")
    print(f"\n{len(people)} patients erased; files below the data folder that hold a word of theirs: {left or 'none'}")


def until_gone(reader, word, begun):
    while True:
        body = {"query": word, "mode": "keyword", "limit": 5}
        if word not in reader.ask("POST", "/v1/search", body)[1].decode():
            return (time.perf_counter() - begun) * 1e3
        time.sleep(REST)


def search_on(server, stop, number):
    client = server.client(server.token(RS))
    while not stop.is_set():
        client.ask("POST", "/v1/search", {"query": f"{random.choice(WORDS)} {random.random()}", "limit": 10})


def send_on(server, stop):
    client, number = server.client(server.token("system/*.crud")), 0
    while not stop.is_set():
        number += 1
        body = note(f"load-{number}", "p1", f"Seen for {random.choice(WORDS)} on round {number}.")
        client.ask("POST", "/v1/sources/ehr/records", body, FHIR)
        stop.wait(0.05)


def looked_through(folder, people):
    words = [word.encode() for person in people for word in (f"quokka{person}x", f"tamarin{person}x", f"family{person}\"")]
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            found += [f"{word.decode()} in {path.name}" for word in words if word in content]
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    questions = {"audit": audit, "timing": timing, "erasure": erasure}
    for name in sys.argv[2:] or questions:
        with tempfile.TemporaryDirectory() as folder:
            questions[name](os.path.abspath(sys.argv[1]), folder)


if __name__ == "__main__":
    main()
