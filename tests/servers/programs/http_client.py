"""httpx asks, as FastAPI's own documentation does. Writes what it was answered."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx

if __name__ == "__main__":
    folder, url, path, out = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    answers = []
    with httpx.Client(base_url=url, timeout=30) as client:
        for columns in json.loads((folder / "requests.json").read_text()):
            customers = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            answer = client.post(path, json={"customers": customers})
            answer.raise_for_status()
            answers.append([one["risk"] for one in answer.json()["answers"]])
        assert client.post(path, json={"customers": "none"}).status_code == 422
        assert client.get("/healthz").json() == "ok"
    out.write_text(json.dumps(answers))
