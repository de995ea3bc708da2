"""Which protocol a payload is in, told by its path, its headers and the keys of its JSON, in this order:

1. content type ``application/grpc…``, or a path that ends in ``/ModelInfer``: ``open_inference_grpc``
2. the header of the binary extension, or a path ``…/v2/models/…/infer``: ``open_inference``
3. a path that ends in ``:predict``, ``:classify`` or ``:regress``: ``tensorflow``, which reads KServe V1 too
4. a path with ``/api/v1.0/`` or ``/api/v0.1/``: ``seldon``
5. content type CSV or JSON lines: ``sagemaker``, which reads MLflow's CSV too
6. keys: ``dataframe_split`` or ``dataframe_records``: ``mlflow``; ``inputs`` of tensors with a datatype:
   ``open_inference``; ``instances``, ``inputs`` or ``examples``: ``tensorflow``; ``jsonData``, or ``data``
   with ``ndarray``, ``tensor`` or ``tftensor``: ``seldon``
7. any other JSON: ``json``

A response is read by the protocol of its request. Files of captured data are not told; name their protocol.
"""

from __future__ import annotations

from typing import Any, Final

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._mlflow import Mlflow
from driftgauge.protocols._open_inference import HEADER_LENGTH, OpenInference
from driftgauge.protocols._open_inference_grpc import OpenInferenceGrpc
from driftgauge.protocols._plain import PlainJson
from driftgauge.protocols._reading import Parsed, Unfit, content_type, read_json
from driftgauge.protocols._sagemaker import CSV_TYPES, JSON_LINES_TYPES, Sagemaker
from driftgauge.protocols._seldon import Seldon
from driftgauge.protocols._tables import Side
from driftgauge.protocols._tensorflow import Tensorflow
from driftgauge.protocols._types import Decoded, Limits, Message

__all__ = ["Auto"]

_VERBS: Final = (":predict", ":classify", ":regress")
_SELDON_PATHS: Final = ("/api/v1.0/", "/api/v0.1/")
_SELDON_DATA: Final = ("ndarray", "tensor", "tftensor")
_TENSORFLOW_KEYS: Final = ("instances", "inputs", "examples", "predictions", "outputs", "results")


class Auto(BaseDecoder):
    """The decoder ``auto``."""

    name = "auto"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        made: tuple[BaseDecoder, ...] = (
            *(Mlflow(limits), OpenInference(limits), OpenInferenceGrpc(limits), PlainJson(limits)),
            *(Sagemaker(limits), Seldon(limits), Tensorflow(limits)),
        )
        self._decoders = {each.name: each for each in made}

    def read_request(self, message: Message, side: Side) -> Decoded:
        """The inputs, by the decoder that fits the message."""
        chosen, message = self._choose(message)
        side.protocol = chosen.name
        return chosen.read_request(message, side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:
        """The outputs, by the decoder that read the request; without one, by that which fits."""
        chosen = self._decoders.get(request.protocol) if request is not None else None
        if chosen is None:
            chosen, message = self._choose(message)
        side.protocol = chosen.name
        return chosen.read_response(message, side, request)

    def _choose(self, message: Message) -> tuple[BaseDecoder, Message]:
        name = _by_surroundings(message)
        if name is None:
            try:
                value = read_json(message, self.limits)
            except Unfit as unfit:
                if unfit.reason not in ("not_json", "not_utf8") or b'"datatype"' not in message.body:
                    raise
                name = "open_inference"  # binary tensors after the JSON, whose header was lost
            else:
                name = _by_keys(value)
                message = Parsed(message, value)
        return self._decoders[name], message


def _by_surroundings(message: Message) -> str | None:
    path = message.path.partition("?")[0]
    kind = content_type(message.headers)
    if kind.startswith("application/grpc") or path.endswith("/ModelInfer"):
        return "open_inference_grpc"
    if HEADER_LENGTH in message.headers or ("/v2/models/" in path and path.endswith("/infer")):
        return "open_inference"
    if path.endswith(_VERBS):
        return "tensorflow"
    if any(part in path for part in _SELDON_PATHS):
        return "seldon"
    return "sagemaker" if kind in CSV_TYPES or kind in JSON_LINES_TYPES else None


def _by_keys(value: Any) -> str:
    if type(value) is not dict:
        return "json"
    if "dataframe_split" in value or "dataframe_records" in value:
        return "mlflow"
    if _has_datatypes(value.get("inputs")) or _has_datatypes(value.get("outputs")):
        return "open_inference"
    if any(type(value.get(key)) in (list, dict) for key in _TENSORFLOW_KEYS):
        return "tensorflow"
    data = value.get("data")
    if "jsonData" in value or (type(data) is dict and any(key in data for key in _SELDON_DATA)):
        return "seldon"
    return "json"


def _has_datatypes(tensors: Any) -> bool:
    return type(tensors) is list and bool(tensors) and type(tensors[0]) is dict and "datatype" in tensors[0]
