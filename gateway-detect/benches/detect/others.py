"""What other programs need for the inputs of `cargo xtask bench detect`, where they are installed.

In: the folder with the inputs. Out: a line for each program: how fast one core searches with it, or that it is absent. Presidio runs all
pattern recognizers it comes with, without a language model; Vectorscan (Python's `hyperscan`) the forms of our own table of keys that begin
with a text of their own, without what validates a match.
"""

import pathlib
import re
import sys
import time

ROUNDS = 5
ALPHABETS = {
    "d": "0-9", "h": "0-9a-f", "H": "0-9a-fA-F", "a": "0-9a-z", "u": "0-9A-Z", "A": "0-9A-Za-z", "w": "0-9A-Za-z_-",
    "j": "0-9A-Za-z_.-", "b": "0-9A-Za-z+/", "B": "0-9A-Za-z+/=", "2": "2-7A-Z", "l": "a-z", "t": "0-9A-Za-z_.+/=~%-",
}


def forms():
    """The table's forms as regular expressions."""
    table = pathlib.Path(__file__).parents[2] / "src/secrets.txt"
    for row in table.read_text().splitlines():
        if not row or row.startswith("#"):
            continue
        form = row.split(" |")[1].strip().replace("<uuid>", "<H8>-<H4>-<H4>-<H4>-<H12>")
        if form.startswith("<"):
            continue
        regex = ""
        for text, alphabet, least, more in re.findall(r"([^<]*)(?:<(\w)(\d+)(\+|-\d+)?>)?", form):
            parts = re.split(r"([(|)])", text)
            regex += "".join(part if part in "(|)" else re.escape(part) for part in parts)
            if alphabet:
                most = "," if more == "+" else more.replace("-", ",")
                regex += f"[{ALPHABETS[alphabet]}]{{{least}{most}}}"
        yield regex


def presidio():
    from presidio_analyzer import PatternRecognizer, RecognizerRegistry

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers()
    recognizers = [one for one in registry.recognizers if isinstance(one, PatternRecognizer)]

    def search(text):
        return sum(len(one.analyze(text, one.supported_entities) or []) for one in recognizers)

    return search


def vectorscan():
    import hyperscan

    expressions = [form.encode() for form in forms()]
    database = hyperscan.Database()
    database.compile(expressions=expressions, ids=list(range(len(expressions))), flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(expressions))

    def search(text):
        found = []
        database.scan(text.encode(), match_event_handler=lambda *event: found.append(event) and None)
        return len(found)

    return search


def measure(name, prepare, folder):
    try:
        search = prepare()
    except ImportError:
        print(f"{name:<14} absent")
        return
    for kind in ["json", "prose"]:
        texts = [path.read_text() for path in sorted(folder.glob(f"{kind}-*.txt"))]
        size = sum(len(text.encode()) for text in texts)
        rounds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for text in texts:
                search(text)
            rounds.append(time.perf_counter() - started)
        took = sorted(rounds)[ROUNDS // 2]
        print(f"{name + ', ' + kind:<20} {size / took / 1e9:>6.4f} GB/s {took / size * 1e10:>10.1f} us for 10 KB")


def main():
    folder = pathlib.Path(sys.argv[1])
    measure("Presidio", presidio, folder)
    measure("Vectorscan", vectorscan, folder)


main()
