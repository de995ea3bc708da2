"""``[[closings]]``: where a model's new reference appears, who is to take it, and how that is seen."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from driftgauge.bridge.targets.calls import basic
from driftgauge.bridge.targets.secrets import in_file
from driftgauge.bridge.targets.settings import BasicSettings, Secret, Url, url
from driftgauge.sidecar.settings_types import Seconds, Section

__all__ = ["MLFLOW_URI", "ClosingSettings", "MlflowSettings"]

MLFLOW_URI: Final = re.compile(r"models:/+([^/@'\"]+)(?:@([A-Za-z0-9_-]+)|/([1-9][0-9]*|latest))")
SCORE: Final = 'max(driftgauge_model_drift_score{model="{model}"})'


def _place(text: str) -> str:
    if text.startswith("models:") and not MLFLOW_URI.fullmatch(text):
        message = (
            "must be a path, or a model of MLflow such as 'models:/{model}@champion' or 'models:/m/latest'"
        )
        raise ValueError(message)
    return text


class MlflowSettings(BasicSettings):
    """MLflow's tracking server; `url` as in MLFLOW_TRACKING_URI."""

    tag: str = Field(
        default="driftgauge_reference_id",
        min_length=1,
        description="tag of the model version that holds the id of its reference",
    )
    password_file: str = Field(default="", description="file that holds the password; read at every request")

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password_file and (self.password.get_secret_value() or not self.username):
            message = "password_file goes with username and without password"
            raise ValueError(message)
        return self

    def credentials(self) -> dict[str, str]:
        """The header of user and password, or of the token."""
        if not self.password_file:
            return basic(self)
        password = SecretStr(in_file(self.password_file, "password_file"))
        return basic(self.model_copy(update={"password": password}))


class ClosingSettings(Section):
    """How it is seen that a run has had its effect, and which sidecars are told."""

    model: str = Field(default="*", description="name of the model; '*' for each without a table of its own")
    reference: Annotated[str, AfterValidator(_place)] = Field(
        default="",
        description="where the new reference appears: file, folder or MLflow URI, with {model}",
    )
    mlflow: MlflowSettings | None = Field(default=None, description="server of a reference 'models:/…'")
    sidecars: tuple[Url, ...] = Field(default=(), description="URLs of sidecars that reload references")
    token: Secret = Field(default=SecretStr(""), description="bearer token of the sidecars")
    token_file: str = Field(default="", description="file that holds it")
    ca_file: str = Field(
        default="", description="PEM file of authorities for the sidecars and the Prometheus"
    )
    prometheus: Annotated[str, AfterValidator(lambda text: url(text) if text else "")] = Field(
        default="", description="URL of a Prometheus that is asked where there are no sidecars"
    )
    score_query: str = Field(
        default=SCORE, min_length=1, description="what it is asked for the drift score; {model} is the name"
    )
    request_timeout: Seconds = Field(default=5.0, gt=0, description="time that one request may take")
    rows: int = Field(
        default=1_000, ge=0, description="rows with the new reference before its drift score is read"
    )
    settle: Seconds = Field(default=1_800.0, description="how long these rows are waited for")
    timeout: Seconds = Field(default=86_400.0, gt=0, description="how long the new reference is waited for")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.token.get_secret_value() and self.token_file:
            message = "token and token_file are both given; leave one out"
            raise ValueError(message)
        if self.reference.startswith("models:") and self.mlflow is None:
            message = 'reference is a model of MLflow; give mlflow = { url = "https://…" } beside it'
            raise ValueError(message)
        if not (self.reference or self.sidecars or self.prometheus):
            message = "nothing says where a new reference is seen; give reference, sidecars or prometheus"
            raise ValueError(message)
        return self
