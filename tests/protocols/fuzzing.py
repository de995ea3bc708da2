"""Payloads of every protocol, damaged at random, given to every decoder.

``python tests/protocols/fuzzing.py COUNT SEED`` runs it by hand and prints what became of them.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from encoders import REQUESTS, RESPONSES
from recordings import PAYLOADS

from driftgauge.frames import to_columns
from driftgauge.protocols import PROTOCOLS, REASONS, Decoded, Limits, Message, Names, Undecodable, decoder

NAMES = Names(("age", "amount"), ("label", "proba_0", "proba_1"), frozenset({"label"}))
SMALL = Limits(
    body_bytes=4_000, decompressed_bytes=8_000, rows=20, columns=12, values=400, depth=5, text_chars=30
)
MAPPING = {
    "rows": "instances || data || @",
    "inputs": {"age": "age || [0]", "amount": "amount || [1]"},
    "output_rows": "predictions || @",
    "outputs": {"label": "label || @", "proba_0": "proba[0]", "proba_1": "max(proba)"},
}
ATOMS = {int, float, bool, str, type(None)}
TOKENS = [
    *(b"null", b"true", b"-0", b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"[]", b"{}", b"[[]]", b'""'),
    *(b'{"b64":"aGk="}', b'{"b64":1}', b"[" * 40, b"]" * 40, b"[" * 1_500, b'{"a":' * 40, b'"\\ud800"'),
    *(
        b'"age"',
        b'"amount"',
        b'"proba"',
        b'"shape":[-1]',
        b'"shape":[1e3,2]',
        b'"shape":[99999999999999999999]',
    ),
    *(
        b'"datatype":"BF16"',
        b'"datatype":"BYTES"',
        b'"binary_data_size":9',
        b",",
        b":",
        b"\n",
        b"\x00",
        b"\xff\xfe",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"\x00\x00\x00\x00\x05",
        b"\x2a\x00",
        b'"predictions":',
        b'"inputs":',
    ),
    *("é漢字🙂".encode(), b"007", b"1_000", b"0x1F", b"age,amount\r\n", b'"', b"a" * 400, b"1," * 300),
]
TYPES = [
    *(
        "application/json",
        "text/csv",
        "text/csv; charset=utf-8",
        "application/jsonlines",
        "application/octet-stream",
    ),
    *(
        "application/cloudevents+json",
        "application/grpc",
        "application/x-www-form-urlencoded",
        "image/png",
        "",
    ),
    *("APPLICATION/JSON; charset=latin-1", ";;;", "application/x-parquet"),
]
ENCODINGS = ["gzip", "deflate", "gzip, gzip", "br", "identity", "gzip," * 9, ""]
PATHS = [
    *(
        "",
        "/invocations",
        "/v2/models/m/infer",
        "/v1/models/m:predict",
        "/api/v1.0/predictions",
        "/x/ModelInfer",
    ),
    "/predict?x=1",
]


FOLDERS = {
    "kserve": ("kserve_v1", "open_inference"),
    "mlflow": ("mlflow",),
    "mlserver": ("open_inference", "open_inference_grpc"),
    "sagemaker": ("sagemaker_capture",),
    "seldon": ("seldon",),
    "triton": ("open_inference",),
}


def seeds() -> list[tuple[str, Message]]:
    """Whole payloads with their protocols: recorded ones and such as the encoders write."""
    found = [
        (protocol, Message(path.read_bytes()))
        for folder, protocols in FOLDERS.items()
        for path in sorted((PAYLOADS / folder).iterdir())
        for protocol in protocols
        if not path.name.startswith(("hdr", "ce_hdr"))
    ]
    captured = (PAYLOADS / "sagemaker/datacapture.jsonl").read_bytes().splitlines()
    found += [("sagemaker_capture", Message(line)) for line in captured] * 3
    for name, protocol in (("tfserving", "tensorflow"), ("torchserve", "mapping")):
        for example in json.loads((PAYLOADS / name / "examples.json").read_text()):
            bodies = [json.dumps(example[side]).encode() for side in ("request", "response")]
            found += [(protocol, Message(body)) for body in bodies]
    rows = [(33, 12.5), (51, 99.0)]
    found += [(protocol, encode(NAMES.inputs, rows)) for protocol, encode in REQUESTS.values()]
    rows = [(1, 0.5, 0.5), (0, 1.0, 0.0)]
    return found + [(protocol, encode(NAMES.outputs, rows)) for protocol, encode in RESPONSES.values()]


def damaged(body: bytes, corpus: list[Message], rng: random.Random) -> bytes:
    """The body with up to five things wrong with it."""
    for _ in range(rng.randrange(6)):
        start = rng.randrange(len(body) + 1)
        end = min(len(body), start + rng.choice((0, 1, 1, 4, 16, 64)))
        kind = rng.randrange(8)
        if kind == 0:
            body = body[:start]
        elif kind == 1:
            body = body[:start] + body[end:]
        elif kind == 2:
            body = body[:start] + body[start:end] * rng.choice((2, 3, 30)) + body[end:]
        elif kind == 3:
            body = body[:start] + rng.randbytes(rng.choice((1, 2, 8))) + body[end:]
        elif kind == 4:
            other = rng.choice(corpus).body
            body = body[:start] + other[rng.randrange(len(other) + 1) :]
        else:
            body = body[:start] + rng.choice(TOKENS) + body[end:]
    return body


KEYS = [
    *(
        "age",
        "amount",
        "label",
        "proba",
        "x",
        "b64",
        "instances",
        "inputs",
        "predictions",
        "outputs",
        "results",
    ),
    *("examples", "context", "data", "names", "ndarray", "tensor", "tftensor", "jsonData", "values", "shape"),
    *("datatype", "name", "parameters", "binary_data_size", "contents", "fp64Contents", "bytes_contents"),
    *(
        "raw_input_contents",
        "dataframe_split",
        "columns",
        "dataframe_records",
        "captureData",
        "endpointInput",
    ),
    *("encoding", "observedContentType", "features", "tensorShape", "dim", "size", "dtype", "tensorContent"),
]
VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        2,
        33,
        12.5,
        1e308,
        float("nan"),
        10**400,
        -(2**63),
        2**64,
        "",
        "age",
        "2",
        "-0",
        "³",
    ),
    *(
        "FP64",
        "BYTES",
        "INT64",
        "BF16",
        "FP16",
        "DT_DOUBLE",
        "BASE64",
        "CSV",
        "aGVsbG8=",
        "33,12.5",
        "é" * 300,
    ),
    *([], {}, [[]], [{}], [1, 2], [2, 2], ["2", "2"], [[1, 2]], {"age": 1}, [{"age": [1]}], {"b64": "aGk="}),
    *([1] * 60, [[[[[[[1]]]]]]], {"size": "2"}, ["age", "amount"], ["age", "age"], [["0", 0.9], ["1", 0.1]]),
]


def bent(value: Any, rng: random.Random) -> Any:
    """A JSON value with one part of it changed, wherever it is."""
    children = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    if children and rng.random() < 0.7:
        place = rng.choice(children)
        copy: Any = value.copy()
        kind = rng.randrange(8)
        if kind == 0:
            del copy[place]
        elif kind == 1 and isinstance(copy, dict):
            copy[rng.choice(KEYS)] = copy.pop(place)
        elif kind == 1:
            copy.insert(place, copy[place])
        else:
            copy[place] = bent(copy[place], rng)
        return copy
    kind = rng.randrange(6)
    if kind == 0:
        return [value]
    if kind == 1:
        return [value] * rng.choice((0, 2, 30))
    if kind == 2:
        return {rng.choice(KEYS): value}
    if kind == 3 and isinstance(value, dict):
        return value | {rng.choice(KEYS): rng.choice(VALUES)}
    return rng.choice(VALUES)


def grown(depth: int, rng: random.Random) -> Any:
    """A JSON value out of nothing but words of the protocols."""
    kind = rng.randrange(4)
    if depth == 0 or kind == 0:
        return rng.choice(VALUES)
    if kind == 1:
        return {rng.choice(KEYS): grown(depth - 1, rng) for _ in range(rng.randrange(1, 5))}
    part = grown(depth - 1, rng)
    return [part if rng.random() < 0.8 else grown(depth - 1, rng) for _ in range(rng.randrange(4))]


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def messages(rng: random.Random) -> Iterator[tuple[str, Message]]:
    """Damaged payloads without end, each with the protocol that it was of."""
    pairs = seeds()
    corpus = [message for _, message in pairs]
    values = [parsed(seed.body) for seed in corpus]
    while True:
        place = rng.randrange(len(corpus))
        headers, body, value = dict(corpus[place].headers), corpus[place].body, values[place]
        kind = rng.random()
        if kind < 0.1:
            body = json.dumps(grown(4, rng)).encode()
        elif kind < 0.6 and value is not None:
            for _ in range(rng.randrange(1, 4)):
                value = bent(value, rng)
            body = json.dumps(value).encode()
        else:
            body = damaged(body, corpus, rng)
        if rng.random() < 0.15:
            headers["content-type"] = rng.choice(TYPES)
        if rng.random() < 0.1:
            headers["content-encoding"] = rng.choice(ENCODINGS)
            if rng.random() < 0.7:
                body = gzip.compress(body, 1, mtime=0)
                body = damaged(body, corpus, rng) if rng.random() < 0.3 else body
        if rng.random() < 0.1:
            headers["inference-header-content-length"] = rng.choice(
                ["", "0", "-1", "abc", "²", "9" * 30, str(rng.randrange(400))]
            )
        yield pairs[place][0], Message(body, headers, rng.choice(PATHS))


def check(found: Any, names: tuple[str, ...]) -> str:
    """What became of a payload; an assertion fails when the contract is broken."""
    if isinstance(found, Undecodable):
        assert found.reason in REASONS
        assert found.reason != "internal_error", found
        return found.reason
    assert isinstance(found, Decoded)
    assert found.rows >= 1
    assert found.columns
    assert set(found.columns) <= set(names)
    for column in found.columns.values():
        assert len(column) == found.rows
        if isinstance(column, np.ndarray):
            assert column.ndim == 1
            assert column.dtype.kind in "biuf"
        else:
            assert set(map(type, column)) <= ATOMS
    to_columns(dict(found.columns))  # what windows do with it; a DataError would cost a whole batch of rows
    return "decoded"


def fuzz(count: int, seed: int) -> dict[str, Counter[str]]:
    """Outcomes by decoder of *count* decodings."""
    rng = random.Random(seed)
    decoders = [
        decoder(name, limits=limits, mapping=MAPPING if name == "mapping" else None)
        for name in PROTOCOLS
        for limits in (Limits(), SMALL)
    ]
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in PROTOCOLS}
    done = 0
    for protocol, message in messages(rng):
        own = [each for each in decoders if each.name == protocol]
        for each in own + rng.sample(decoders, 3):
            if rng.random() < 0.6:
                found, names = each.request(message, NAMES), NAMES.inputs
            else:
                asked = Decoded({}, rng.randrange(1, 4), False, rng.choice(PROTOCOLS))
                found = each.response(message, NAMES, rng.choice((None, asked)))
                names = NAMES.outputs
            try:
                outcomes[each.name][check(found, names)] += 1
            except Exception:
                sys.stderr.write(f"{each!r} {message!r}\n")
                raise
            done += 1
        if done >= count:
            return outcomes
    raise AssertionError


if __name__ == "__main__":
    for protocol, counted in fuzz(int(sys.argv[1]), int(sys.argv[2])).items():
        sys.stdout.write(f"{protocol:20} {counted.total():8} {dict(counted.most_common())}\n")
