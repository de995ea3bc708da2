"""Triton's client asks, which is the one that MLServer brings: rows as one tensor. Writes the answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import tritonclient.http as triton
from small_model import matrix

if __name__ == "__main__":
    folder, url, out = Path(sys.argv[1]), urlsplit(sys.argv[2]), Path(sys.argv[3])
    client = triton.InferenceServerClient(url.netloc)
    assert client.is_model_ready("risk")
    answers = []
    for columns in json.loads((folder / "requests.json").read_text()):
        rows = matrix(columns)
        tensor = triton.InferInput("predict", list(rows.shape), "FP64")
        tensor.set_data_from_numpy(rows, binary_data=False)
        wanted = triton.InferRequestedOutput("predict", binary_data=False)
        answer = client.infer("risk", [tensor], outputs=[wanted])
        answers.append([float(each) for each in answer.as_numpy("predict").ravel()])
    out.write_text(json.dumps(answers))
