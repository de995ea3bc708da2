"""Rows written in each protocol, the other way round: what decoders are tried with."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from driftgauge.protocols import Message

Rows = Sequence[Sequence[Any]]
Encode = Callable[[Sequence[str], Rows], Message]

JSON = {"content-type": "application/json"}


def as_json(value: Any, headers: dict[str, str] | None = None) -> Message:
    return Message(json.dumps(value).encode(), JSON if headers is None else headers)


def records(names: Sequence[str], rows: Rows) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def columns(names: Sequence[str], rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def flat(rows: Rows) -> list[Any]:
    return [value for row in rows for value in row]


def lists(rows: Rows) -> list[list[Any]]:
    return [list(row) for row in rows]


def tensor_of(values: Sequence[Any]) -> tuple[str, str]:
    """Datatype and typed field that hold these values."""
    if all(type(value) is bool for value in values):
        return "BOOL", "bool_contents"
    if all(type(value) is int for value in values):
        return "INT64", "int64_contents"
    if all(type(value) is str for value in values):
        return "BYTES", "bytes_contents"
    return "FP64", "fp64_contents"


def packed(values: Sequence[Any], datatype: str) -> bytes:
    """A binary tensor."""
    if datatype == "BYTES":
        raw = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(each)) + each for each in raw)
    return struct.pack(f"<{len(values)}{ {'BOOL': '?', 'INT64': 'q', 'FP64': 'd'}[datatype] }", *values)


def tensors(names: Sequence[str], rows: Rows, *, binary: bool) -> tuple[list[dict[str, Any]], bytes]:
    made, raw = [], b""
    for name, values in columns(names, rows).items():
        datatype, _ = tensor_of(values)
        tensor: dict[str, Any] = {"name": name, "shape": [len(values), 1], "datatype": datatype}
        if binary:
            part = packed(values, datatype)
            tensor["parameters"] = {"binary_data_size": len(part)}
            raw += part
        else:
            tensor["data"] = values
        made.append(tensor)
    return made, raw


def open_inference(key: str, *, binary: bool, header: bool = True) -> Encode:
    def encode(names: Sequence[str], rows: Rows) -> Message:
        listed, raw = tensors(names, rows, binary=binary)
        text = json.dumps({"id": "1", key: listed}).encode()
        if not binary:
            return Message(text, JSON)
        headers = {"content-type": "application/octet-stream"}
        if header:
            headers["inference-header-content-length"] = str(len(text))
        return Message(text + raw, headers)

    return encode


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def delimited(field: int, payload: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def protobuf(key: str, *, raw: bool, framed: bool = False) -> Encode:
    """A message written by hand from the encoding of protobuf, not by the library that reads it."""
    fields = {
        "bool_contents": (1, lambda values: b"".join(varint(int(value)) for value in values)),
        "int64_contents": (3, lambda values: b"".join(varint(value) for value in values)),
        "fp64_contents": (7, lambda values: struct.pack(f"<{len(values)}d", *values)),
    }

    def encode(names: Sequence[str], rows: Rows) -> Message:
        body, raws = delimited(1, b"fraud"), b""
        for name, values in columns(names, rows).items():
            datatype, field = tensor_of(values)
            tensor = delimited(1, name.encode()) + delimited(2, datatype.encode())
            tensor += delimited(3, varint(len(values)) + varint(1))
            if raw:
                raws += delimited(7 if key == "inputs" else 6, packed(values, datatype))
            elif field == "bytes_contents":
                tensor += delimited(5, b"".join(delimited(8, value.encode()) for value in values))
            else:
                number, write = fields[field]
                tensor += delimited(5, delimited(number, write(values)))
            body += delimited(5, tensor)
        body += raws
        return Message(struct.pack(">BI", 0, len(body)) + body if framed else body)

    return encode


def protobuf_json(key: str, *, snake: bool) -> Encode:
    def spelled(name: str) -> str:
        first, *rest = name.split("_")
        return name if snake else first + "".join(map(str.capitalize, rest))

    def encode(names: Sequence[str], rows: Rows) -> Message:
        listed = []
        for name, values in columns(names, rows).items():
            datatype, field = tensor_of(values)
            typed: list[Any] = list(values)
            if datatype == "INT64":
                typed = [str(value) for value in values]
            if datatype == "BYTES":
                typed = [base64.b64encode(value.encode()).decode() for value in values]
            shape = [str(len(values)), "1"]
            contents = {spelled(field): typed}
            listed.append({"name": name, "datatype": datatype, "shape": shape, "contents": contents})
        return as_json({spelled("model_name"): "fraud", key: listed})

    return encode


def csv_text(names: Sequence[str] | None, rows: Rows) -> Message:
    out = io.StringIO()
    writer = csv.writer(out)
    if names is not None:
        writer.writerow(names)
    writer.writerows(rows)
    return Message(out.getvalue().encode(), {"content-type": "text/csv"})


def json_lines(values: Sequence[Any]) -> Message:
    body = "".join(json.dumps(value) + "\n" for value in values)
    return Message(body.encode(), {"content-type": "application/jsonlines"})


def seldon_tensor(names: Sequence[str], rows: Rows) -> Message:
    shape = [len(rows), len(names)]
    return as_json({"data": {"names": list(names), "tensor": {"shape": shape, "values": flat(rows)}}})


def column_tensor(key: str) -> Encode:
    def encode(names: Sequence[str], rows: Rows) -> Message:
        shape = [len(rows), len(names)]
        tensor = {"name": "input-0", "shape": shape, "datatype": "FP64", "data": flat(rows)}
        return as_json({key: [tensor]})

    return encode


REQUESTS: dict[str, tuple[str, Encode]] = {
    "kserve_v1 lists": ("kserve_v1", lambda _, rows: as_json({"instances": lists(rows)})),
    "kserve_v1 records": ("kserve_v1", lambda names, rows: as_json({"instances": records(names, rows)})),
    "tensorflow columns": ("tensorflow", lambda names, rows: as_json({"inputs": columns(names, rows)})),
    "tensorflow one tensor": ("tensorflow", lambda _, rows: as_json({"inputs": {"x": lists(rows)}})),
    "tensorflow examples": ("tensorflow", lambda names, rows: as_json({"examples": records(names, rows)})),
    "open_inference json": ("open_inference", open_inference("inputs", binary=False)),
    "open_inference binary": ("open_inference", open_inference("inputs", binary=True)),
    "open_inference no header": ("open_inference", open_inference("inputs", binary=True, header=False)),
    "open_inference_grpc typed": ("open_inference_grpc", protobuf("inputs", raw=False)),
    "open_inference_grpc raw": ("open_inference_grpc", protobuf("inputs", raw=True)),
    "open_inference_grpc framed": ("open_inference_grpc", protobuf("inputs", raw=True, framed=True)),
    "open_inference_grpc json": ("open_inference_grpc", protobuf_json("inputs", snake=False)),
    "open_inference_grpc snake": ("open_inference_grpc", protobuf_json("inputs", snake=True)),
    "seldon ndarray": (
        "seldon",
        lambda names, rows: as_json({"data": {"names": list(names), "ndarray": lists(rows)}}),
    ),
    "seldon tensor": ("seldon", seldon_tensor),
    "mlflow split": (
        "mlflow",
        lambda names, rows: as_json({"dataframe_split": {"columns": list(names), "data": lists(rows)}}),
    ),
    "mlflow records": ("mlflow", lambda names, rows: as_json({"dataframe_records": records(names, rows)})),
    "mlflow instances": ("mlflow", lambda names, rows: as_json({"instances": records(names, rows)})),
    "mlflow inputs": ("mlflow", lambda names, rows: as_json({"inputs": columns(names, rows)})),
    "mlflow csv": ("mlflow", csv_text),
    "sagemaker csv": ("sagemaker_csv", lambda _, rows: csv_text(None, rows)),
    "sagemaker lines": ("sagemaker_jsonlines", lambda names, rows: json_lines(records(names, rows))),
    "sagemaker features": (
        "sagemaker_jsonlines",
        lambda _, rows: json_lines([{"features": list(row)} for row in rows]),
    ),
    "json records": ("json", lambda names, rows: as_json(records(names, rows))),
    "json columns": ("json", lambda names, rows: as_json(columns(names, rows))),
}
"""By form: the decoder that reads it, and how it is written."""

RESPONSES: dict[str, tuple[str, Encode]] = {
    "kserve_v1 lists": ("kserve_v1", lambda _, rows: as_json({"predictions": lists(rows)})),
    "kserve_v1 records": ("kserve_v1", lambda names, rows: as_json({"predictions": records(names, rows)})),
    "tensorflow columns": ("tensorflow", lambda names, rows: as_json({"outputs": columns(names, rows)})),
    "open_inference json": ("open_inference", open_inference("outputs", binary=False)),
    "open_inference binary": ("open_inference", open_inference("outputs", binary=True)),
    "open_inference_grpc typed": ("open_inference_grpc", protobuf("outputs", raw=False)),
    "open_inference_grpc raw": ("open_inference_grpc", protobuf("outputs", raw=True)),
    "open_inference_grpc json": ("open_inference_grpc", protobuf_json("outputs", snake=False)),
    "seldon tensor": ("seldon", seldon_tensor),
    "mlflow": ("mlflow", lambda names, rows: as_json({"predictions": records(names, rows)})),
    "sagemaker csv": ("sagemaker_csv", lambda _, rows: csv_text(None, rows)),
    "sagemaker lines": ("sagemaker_jsonlines", lambda names, rows: json_lines(records(names, rows))),
    "json records": ("json", lambda names, rows: as_json(records(names, rows))),
}


def raw_deflate(body: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(body) + squeeze.flush()


COMPRESSIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", raw_deflate),
    "gzip of two members": ("gzip", lambda body: gzip.compress(body[:10]) + gzip.compress(body[10:])),
    "one upon the other": ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
    "none": ("identity", bytes),
}
