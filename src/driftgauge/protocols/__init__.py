"""Payloads of model servers: bytes and headers in, named columns of inputs and outputs out, or a reason.

=======================  ===========================================================================
decoder                  what it reads
=======================  ===========================================================================
``kserve_v1``            KServe V1: ``{"instances": …}`` and ``{"predictions": …}``
``tensorflow``           TensorFlow Serving, row and column form, classify and regress
``open_inference``       Open Inference Protocol (V2) REST, with the binary extension
``open_inference_grpc``  its gRPC messages as logged: protobuf, framed or not, and their JSON form
``seldon``               Seldon V1: ndarray, tensor, tftensor and names
``mlflow``               MLflow ``/invocations`` in its five forms
``sagemaker``            SageMaker: CSV, JSON lines or JSON, by the content type
``sagemaker_csv``        CSV without a header
``sagemaker_jsonlines``  one JSON value a line
``sagemaker_capture``    one line of a DataCapture file, which holds both halves
``json``                 bare JSON: one row, rows, or columns; many BentoML, LitServe and FastAPI services
``mapping``              any JSON, by JMESPath expressions
``auto``                 one of the above by path, headers and keys
=======================  ===========================================================================

Decoders are pure. They keep no state, so that one may serve all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from driftgauge.errors import ConfigError
from driftgauge.protocols._types import (
    REASONS,
    Column,
    Decoded,
    Decoder,
    Exchange,
    Limits,
    Message,
    Names,
    Undecodable,
)

__all__ = [
    "PROTOCOLS",
    "REASONS",
    "Column",
    "Decoded",
    "Decoder",
    "Exchange",
    "Limits",
    "Message",
    "Names",
    "Undecodable",
    "decode_exchange",
    "decoder",
]

_CLASSES: Final = {
    "auto": "_auto:Auto",
    "json": "_plain:PlainJson",
    "kserve_v1": "_tensorflow:KserveV1",
    "mapping": "_mapping:Mapped",
    "mlflow": "_mlflow:Mlflow",
    "open_inference": "_open_inference:OpenInference",
    "open_inference_grpc": "_open_inference_grpc:OpenInferenceGrpc",
    "sagemaker": "_sagemaker:Sagemaker",
    "sagemaker_capture": "_sagemaker_capture:SagemakerCapture",
    "sagemaker_csv": "_sagemaker:SagemakerCsv",
    "sagemaker_jsonlines": "_sagemaker:SagemakerJsonLines",
    "seldon": "_seldon:Seldon",
    "tensorflow": "_tensorflow:Tensorflow",
}

PROTOCOLS: Final = tuple(sorted(_CLASSES))
"""Names that `decoder` takes."""

_NO_LIMITS_OF_ITS_OWN: Final = Limits()


def decoder(
    name: str, *, limits: Limits = _NO_LIMITS_OF_ITS_OWN, mapping: Mapping[str, Any] | None = None
) -> Decoder:
    """The decoder of a protocol.

    Parameters
    ----------
    name : str
        One of `PROTOCOLS`.
    limits : Limits
    mapping : mapping, optional
        For ``mapping`` only, which needs it: JMESPath expressions that find the rows or each feature, under
        the keys ``rows``, ``inputs``, ``output_rows`` and ``outputs``.

    Raises
    ------
    ConfigError
        When there is no such protocol, or the mapping is absent, not wanted or not JMESPath.
    MissingExtraError
        When a library that this protocol needs is not installed.

    Examples
    --------
    >>> names = Names(inputs=("age", "amount"), outputs=("fraud",))
    >>> request = Message(b'{"instances": [[33, 12.5], [51, 99.0]]}')
    >>> decoder("kserve_v1").request(request, names).columns
    {'age': [33, 51], 'amount': [12.5, 99.0]}
    """
    place = _CLASSES.get(name)
    if place is None:
        message = f"protocol must be one of {', '.join(map(repr, PROTOCOLS))}, got {name!r}"
        raise ConfigError(message)
    if mapping is not None and name != "mapping":
        message = f"protocol {name!r} takes no mapping; leave it out, or use the protocol 'mapping'"
        raise ConfigError(message)
    module, _, attribute = place.partition(":")
    make: Callable[..., Decoder] = getattr(import_module(f"{__name__}.{module}"), attribute)
    return make(limits, mapping) if name == "mapping" else make(limits)


def decode_exchange(
    decoder: Decoder, request: Message, response: Message | None, names: Names
) -> Exchange | Undecodable:
    """Inputs and outputs of one exchange, row by row.

    Parameters
    ----------
    decoder : Decoder
    request : Message
    response : Message or None
        None: the outputs are not known. A decoder of captured data finds them in *request*.
    names : Names

    Returns
    -------
    Exchange or Undecodable
        Of a response that cannot be used, `Exchange.notes` says why, and the inputs are there.

    Examples
    --------
    >>> names = Names(inputs=("age",), outputs=("fraud",))
    >>> request, response = Message(b'{"instances": [[33], [51]]}'), Message(b'{"predictions": [0, 1]}')
    >>> exchange = decode_exchange(decoder("kserve_v1"), request, response, names)
    >>> exchange.inputs, exchange.outputs
    ({'age': [33, 51]}, {'fraud': [0, 1]})
    >>> decode_exchange(decoder("kserve_v1"), request, Message(b'{"predictions": [0]}'), names).notes
    ('response', 'wrong_length')
    """
    if response is None and decoder.both_halves:
        response = request
    asked: Decoded | None = None
    if names.inputs:
        found = decoder.request(request, names)
        if isinstance(found, Undecodable):
            return found
        asked = found
    if response is None or not names.outputs:
        if asked is None:
            return Undecodable("empty", "there is no response, and the reference has no inputs")
        return Exchange(asked.columns, None, asked.rows, seconds=asked.seconds)
    answered = decoder.response(response, names, asked)
    if asked is None:
        if isinstance(answered, Undecodable):
            return answered
        return Exchange({}, answered.columns, answered.rows, seconds=answered.seconds)
    if isinstance(answered, Undecodable):
        return Exchange(asked.columns, None, asked.rows, ("response", answered.reason), asked.seconds)
    if answered.rows != asked.rows:
        return Exchange(asked.columns, None, asked.rows, ("response", "wrong_length"), asked.seconds)
    return Exchange(asked.columns, answered.columns, asked.rows, seconds=asked.seconds)
