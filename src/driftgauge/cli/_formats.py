"""A verdict as JSON, Markdown or JUnit XML: text for machines and for pull requests. No terminal here.

The JSON schema, format 1 (new keys may be added, none changes its meaning within a format):

- ``format``: 1. ``driftgauge``: version of the program.
- ``result``: ``"no drift"``, ``"drift"`` or ``"could not tell"``; ``exit_status``: 0, 1, 2.
- ``explanation``: the result in words.
- ``reference``: ``file``, ``id``, ``model``, ``model_version``, ``rows``, ``created_timestamp_seconds``;
  all but ``file`` are null when it could not be read.
- ``live``: ``file``, ``rows``.
- ``thresholds``: ``psi``, ``ks``, ``missing``, ``unseen``, ``out_of_range``, ``score``, each a number or
  null (off), and ``min_rows``.
- ``drift``: null when too few rows were there to weigh, else ``score`` of the model, ``log_evidence``,
  ``budget_evaluations`` (files between two false alarms), ``min_effect``, ``dependence`` (``"measured"`` or
  ``"assumed"``), ``drifted_features`` (names, strongest first, virtual features included) and ``virtual``:
  list of ``name`` and what ``drift`` of a feature has, for virtual features of a score of 0.5 or more.
- ``features``: list in the reference's order. Each has ``name``, ``kind`` (``input``, ``output``), ``dtype``
  (``numeric``, ``boolean``, ``categorical``), ``result``, ``explanation`` and

  - ``reasons``: list of ``statistic``, ``value``, ``threshold``, ``critical``, ``text``; a ratio's ``value``
    is its rise over the reference's own;
  - ``statistics``: null when the feature could not be compared, else ``psi``, ``psi_debiased``,
    ``psi_critical``, ``js``, ``hellinger``, ``total_variation``, ``chi_square``, ``ks``, ``ks_critical``,
    ``wasserstein``, ``shift``, ``scale_shift``, ``missing_ratio``, ``unseen_ratio``, ``out_of_range_ratio``,
    ``mean``, ``standard_deviation``, ``mean_error_bound``, each a number or null;
  - ``reference``: ``missing_ratio``, ``unseen_ratio``, ``out_of_range_ratio``, ``mean``,
    ``standard_deviation``;
  - ``drift``: null or ``score``, ``log_evidence``, ``drifted``, ``cause``, ``cell``, ``words``;
  - ``bins``: list of ``label``, ``reference_rows``, ``live_rows``.

There is never a NaN or an infinity: such a number is null.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Final
from xml.etree import ElementTree

from driftgauge.cli._text import clean, number, ratio
from driftgauge.cli._verdict import FeatureVerdict, Thresholds, Verdict
from driftgauge.snapshot import DriftSnapshot, FeatureDrift

__all__ = ["Comparison", "joint_evidence", "to_json", "to_junit", "to_markdown", "why", "without_nan"]

# What XML 1.0 (section 2.2, production 2) does not allow even as an entity.
NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A verdict with what was compared."""

    verdict: Verdict
    thresholds: Thresholds
    min_rows: int
    reference_file: str
    live_file: str
    version: str
    reference_id: str | None = None
    model: str | None = None
    model_version: str | None = None
    reference_rows: int | None = None
    created_timestamp_seconds: float | None = None


def without_nan(value: Any) -> Any:
    """*value* with every NaN and infinity inside replaced by ``None``: JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


def to_json(comparison: Comparison) -> str:
    """The JSON document described above, indented, ending in a newline."""
    verdict = comparison.verdict
    document = {
        "format": 1,
        "driftgauge": comparison.version,
        "result": verdict.result,
        "exit_status": verdict.exit_status,
        "explanation": verdict.explanation,
        "reference": {
            "file": comparison.reference_file,
            "id": comparison.reference_id,
            "model": comparison.model,
            "model_version": comparison.model_version,
            "rows": comparison.reference_rows,
            "created_timestamp_seconds": comparison.created_timestamp_seconds,
        },
        "live": {"file": comparison.live_file, "rows": verdict.rows},
        "thresholds": {**asdict(comparison.thresholds), "min_rows": comparison.min_rows},
        "drift": _drift(verdict.drift),
        "features": [_feature(feature) for feature in verdict.features],
    }
    return json.dumps(without_nan(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _drift(drift: DriftSnapshot | None) -> dict[str, Any] | None:
    if drift is None:
        return None
    names = ("score", "log_evidence", "budget_evaluations", "min_effect", "dependence", "drifted_features")
    return {
        **{name: getattr(drift, name) for name in names},
        "virtual": [{"name": each.name, **_evidence(each)} for each in drift.virtual if each.words],
    }


def _evidence(drift: FeatureDrift) -> dict[str, Any]:
    names = ("score", "log_evidence", "drifted", "cause", "cell", "words")
    return {name: getattr(drift, name) for name in names}


def why(feature: FeatureVerdict) -> str:
    """All there is to say about a feature that drifted, that could not be compared, or has evidence."""
    said = [feature.explanation] if feature.result != "no drift" else []
    drift = feature.drift
    if drift is not None and drift.score > 1:
        if feature.result == "no drift":
            said.append(f"under the thresholds; evidence: {drift.words}")
        elif not any(reason.statistic == "drift_score" for reason in feature.reasons):
            said.append(f"evidence: {drift.words}")
    return "; ".join(said)


def joint_evidence(verdict: Verdict) -> str:
    """The same of features together, where there is none about a single one."""
    drift = verdict.drift
    if drift is None or drift.score <= 1 or any(each.score > 1 for each in drift.features):
        return ""
    strongest = max((*drift.features, *drift.virtual), key=lambda each: each.score)
    return f"evidence: features changed together, most of all {strongest.name}"


def _feature(feature: FeatureVerdict) -> dict[str, Any]:
    live, reference = feature.statistics, feature.reference
    statistics = asdict(live) if live is not None else None
    if statistics is not None:
        for name in ("name", "quantiles", "bin_rows"):
            del statistics[name]
    names = ("missing_ratio", "unseen_ratio", "out_of_range_ratio", "mean", "standard_deviation")
    bins = (
        []
        if live is None or reference is None
        else [
            {"label": label, "reference_rows": before, "live_rows": now}
            for label, before, now in zip(
                reference.bin_labels, reference.reference_bin_rows, live.bin_rows, strict=True
            )
        ]
    )
    return {
        "name": feature.name,
        "kind": feature.kind,
        "dtype": feature.dtype,
        "result": feature.result,
        "explanation": feature.explanation,
        "reasons": [asdict(reason) for reason in feature.reasons],
        "statistics": statistics,
        "reference": {name: getattr(reference, f"reference_{name}", None) for name in names},
        "drift": None if feature.drift is None else _evidence(feature.drift),
        "bins": bins,
    }


def to_markdown(comparison: Comparison) -> str:
    """A heading, a table and the reasons, for a pull request or a job summary."""
    verdict = comparison.verdict
    lines = [
        f"### driftgauge: {verdict.result}",
        "",
        f"{_cell(verdict.explanation)}. Reference {_code(comparison.reference_file)}"
        f"{_rows(comparison.reference_rows)}, live {_code(comparison.live_file)}{_rows(verdict.rows)}.",
    ]
    if together := joint_evidence(verdict):
        lines[-1] += f" {_cell(together)}."
    if verdict.features:
        lines += [
            "",
            "| feature | result | score | PSI | noise | KS | noise | missing | why |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        ]
        lines += [_row(feature) for feature in verdict.features]
    return "\n".join(lines) + "\n"


def _rows(rows: int | None) -> str:
    return "" if rows is None else f" ({rows:,} rows)"


def _cell(text: str) -> str:
    """*text* that cannot leave its table cell or become markup."""
    text = clean(text)
    for character in "\\|`*_<>[]":
        text = text.replace(character, "\\" + character)
    return text


def _code(text: str) -> str:
    text = clean(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _row(feature: FeatureVerdict) -> str:
    live = feature.statistics
    numbers = (
        [""] * 6
        if live is None
        else [
            number(feature.drift.score if feature.drift else None, 2),
            number(live.psi),
            number(live.psi_critical),
            number(live.ks),
            number(live.ks_critical),
            ratio(live.missing_ratio),
        ]
    )
    result = f"**{feature.result}**" if feature.result != "no drift" else feature.result
    return "| " + " | ".join([_cell(feature.name), result, *numbers, _cell(why(feature))]) + " |"


def to_junit(comparison: Comparison) -> str:
    """JUnit XML: one test case per feature; drift is a failure, what could not be compared an error.

    A test case of its own fails where features drifted together and none by itself.
    """
    verdict = comparison.verdict
    model, cases = comparison.model or "driftgauge", verdict.features
    errors = sum(case.result == "could not tell" for case in cases)
    # No feature by itself is over its limit, and yet the exit status is 1: somebody must be told why.
    together = verdict.result == "drift" and not verdict.drifted
    suite = _suite(
        tests=(len(cases) or 1) + together,
        failures=len(verdict.drifted) + together,
        errors=errors if cases else 1,
    )
    if not cases:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(model), name="comparison")
        ElementTree.SubElement(case, "error", message=_xml(verdict.explanation), type=verdict.result)
    for feature in cases:
        name = f"{model}.{feature.kind}"
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(name), name=_xml(feature.name))
        if feature.result != "no drift":
            tag = "failure" if feature.result == "drift" else "error"
            node = ElementTree.SubElement(case, tag, message=_xml(feature.explanation), type=feature.result)
            node.text = _xml("\n".join(reason.text for reason in feature.reasons))
    if together:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(model), name="all features together")
        ElementTree.SubElement(case, "failure", message=_xml(verdict.explanation), type=verdict.result)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    body: str = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(**counts: int) -> ElementTree.Element:
    attributes = {"name": "driftgauge check", **{name: str(count) for name, count in counts.items()}}
    return ElementTree.Element("testsuite", attributes)


def _xml(text: str) -> str:
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
