"""Holds the licence of every dependency, crate or npm package, to a list of those we can live with.

Licences are SPDX expressions; the old `MIT/Apache-2.0` is read as `OR`. Known advisories are checked where cargo-audit
or cargo-deny and their database are installed, and it is said plainly where they aren't.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
}

# Name of a dependency -> (the expression that was looked at, why it may stay all the same).
# A changed expression must be looked at anew; an exception nobody needs fails too.
EXCEPTIONS: dict[str, tuple[str, str]] = {
    "model gemma-3-270m": ("LicenseRef-Gemma", "only its description is ours; nobody gets the model who doesn't name it"),
}


class Unreadable(Exception):
    pass


def satisfied(expression: str, allowed: set[str] = ALLOWED) -> bool:
    """Whether some choice the expression leaves us is allowed in all its parts.

    >>> satisfied("MIT OR GPL-3.0-only"), satisfied("MIT AND GPL-3.0-only"), satisfied("GPL-3.0-only")
    (True, False, False)
    >>> satisfied("MIT/Apache-2.0"), satisfied("Apache-2.0 / GPL-2.0"), satisfied("GPL-2.0/GPL-3.0")
    (True, True, False)
    >>> satisfied("GPL-3.0-only OR MIT AND ISC"), satisfied("(GPL-3.0-only OR MIT) AND LGPL-2.1-only")
    (True, False)
    >>> satisfied("Apache-2.0 WITH LLVM-exception"), satisfied("MIT WITH Strange-exception")
    (True, False)
    >>> satisfied("MIT OR")
    Traceback (most recent call last):
    licences.Unreadable: a licence is missing at the end
    >>> satisfied("MIT Apache-2.0")
    Traceback (most recent call last):
    licences.Unreadable: unexpected Apache-2.0
    """
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    verdict = either(words, allowed)
    if words:
        raise Unreadable(f"unexpected {words[0]}")
    return verdict


def either(words: list[str], allowed: set[str]) -> bool:
    verdict = both(words, allowed)
    while words and words[0] == "OR":
        words.pop(0)
        verdict = both(words, allowed) or verdict
    return verdict


def both(words: list[str], allowed: set[str]) -> bool:
    verdict = one(words, allowed)
    while words and words[0] == "AND":
        words.pop(0)
        verdict = one(words, allowed) and verdict
    return verdict


def one(words: list[str], allowed: set[str]) -> bool:
    if not words:
        raise Unreadable("a licence is missing at the end")
    word = words.pop(0)
    if word == "(":
        verdict = either(words, allowed)
        if not words or words.pop(0) != ")":
            raise Unreadable("a bracket isn't closed")
        return verdict
    if word in (")", "AND", "OR", "WITH"):
        raise Unreadable(f"a licence is missing before {word}")
    if words and words[0] == "WITH":
        words.pop(0)
        if not words:
            raise Unreadable("an exception is missing at the end")
        word = f"{word} WITH {words.pop(0)}"
    return word in allowed


def crates() -> list[tuple[str, str]]:
    """Every crate of the lock file, for every platform; for this one alone where the others can't be fetched."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode != 0:
        version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
        host = re.search(r"^host: (.*)$", version, re.MULTILINE).group(1)
        print(f"licences: not all crates can be fetched here, so only those for {host} are looked at")
        command += ["--offline", "--filter-platform", host]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode != 0:
        sys.exit(f"licences: cargo metadata failed\n{answer.stderr}")
    metadata = json.loads(answer.stdout)
    return [(f"crate {package['name']}", package["license"] or "") for package in metadata["packages"]]


def npm_packages() -> list[tuple[str, str]]:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    packages = [(path, package) for path, package in lock["packages"].items() if path]
    return [(f"npm {path.split('node_modules/')[-1]}", package.get("license", "")) for path, package in packages]


def models() -> list[tuple[str, str]]:
    found = []
    for manifest in sorted((ROOT / "models").glob("*.toml")):
        licence = re.search(r'^licence = "(.*)"$', manifest.read_text(), re.MULTILINE)
        found.append((f"model {manifest.stem}", licence.group(1) if licence else ""))
    return found


def objections(dependencies: list[tuple[str, str]]) -> list[str]:
    found, needed = [], set()
    for name, expression in sorted(set(dependencies)):
        try:
            if expression and satisfied(expression):
                continue
            objection = f"{name}: {expression or 'names no licence'}"
        except Unreadable as error:
            objection = f"{name}: {expression!r} can't be read: {error}"
        needed.add(name)
        if EXCEPTIONS.get(name, ("", ""))[0] != expression or name not in EXCEPTIONS:
            found.append(objection)
    found += [f"{name}: has an exception but needs none" for name in EXCEPTIONS if name not in needed]
    return found


def check_advisories() -> bool:
    """Runs the first tool that has its database here. Offline: a check must not hang on a host out of reach."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    tools = [
        ("cargo-audit", "advisory-db", ["cargo", "audit", "--no-fetch"]),
        ("cargo-deny", "advisory-dbs", ["cargo", "deny", "--offline", "check", "advisories"]),
    ]
    for tool, database, command in tools:
        if shutil.which(tool) and (home / database).is_dir():
            return subprocess.run(command, cwd=ROOT).returncode == 0
    print("advisories: NOT checked, because neither cargo-audit nor cargo-deny is here with its database")
    return True


def main() -> int:
    groups = {"crates": crates(), "npm packages": npm_packages(), "models": models()}
    found = objections([dependency for group in groups.values() for dependency in group])
    for objection in found:
        print(f"licences: {objection}", file=sys.stderr)
    counts = ", ".join(f"{len(group)} {name}" for name, group in groups.items())
    print(f"licences: {counts} looked at, {len(found)} objections")
    return 0 if check_advisories() and not found else 1


if __name__ == "__main__":
    sys.exit(main())
