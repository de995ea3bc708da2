"""One HTTP call to a target, and what its failure means for the run.

=============================================  ==================================================
answer                                         what follows
=============================================  ==================================================
2xx                                            an `Answer`
409                                            an `Answer` where the target asks for it
429; 403 that is a rate limit; 408, 425        `Retryable`, after ``Retry-After``
503 with ``Retry-After``                       `Retryable`
any other 5xx                                  `Retryable`, and the run may have been started
no connection (name, port, TLS)                `Retryable`
time-out, connection lost                      `Retryable`, and the run may have been started
3xx                                            `Permanent`: tokens do not follow to another place
any other 4xx                                  `Permanent`
=============================================  ==================================================

Only a call that starts something says that it may have been started. Reasons hold the method, the address
without its query, the status and the system's own words, with every secret of the call taken out.
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

from pydantic import SecretStr

from driftgauge.bridge.targets import Permanent, Retryable, Started
from driftgauge.bridge.targets.payloads import as_json
from driftgauge.bridge.targets.secrets import hidden, one_line
from driftgauge.bridge.targets.settings import BasicSettings, HttpSettings, TokenSettings

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["Answer", "Caller", "basic", "bearer", "settled", "words"]

ANSWER_BYTES: Final = 8 << 20  # thirty runs of GitHub Actions are 0.6 MB
WORDS: Final = 300
SETTLE_SECONDS: Final = 5.0
LONGEST_WAIT_SECONDS: Final = 6 * 3600.0  # a Retry-After of a year is a mistake, and would hold the run back
PUBLIC: Final = ("Accept", "Idempotency-Key", "X-GitHub-Api-Version")
WORDY: Final = ("message", "detail", "error", "title", "reason", "msg", "errors")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system answered, its body read and, where it is JSON, decoded."""

    status: int
    headers: Mapping[str, str]
    body: Any


def bearer(settings: TokenSettings) -> dict[str, str]:
    """The header of a token; none where there is none."""
    found = settings.the_token()
    return {"Authorization": f"Bearer {found}"} if found else {}


def basic(settings: BasicSettings) -> dict[str, str]:
    """The header of a user and a password, or of a token."""
    if not settings.username:
        return bearer(settings)
    both = f"{settings.username}:{one_line(settings.password, 'password')}"
    return {"Authorization": f"Basic {b64encode(both.encode()).decode()}"}


async def settled(
    look: Callable[[], Awaitable[Started | None]], seconds: float | None = None
) -> Started | Literal[False]:
    """What *look* finds, at the second time where there is nothing at the first.

    A call whose answer was lost may still be at work, or what it started may not be listed yet.
    """
    found = await look()
    if found is None:
        await asyncio.sleep(SETTLE_SECONDS if seconds is None else seconds)
        found = await look()
    return found or False


class Caller:
    """Calls one system.

    Parameters
    ----------
    settings : HttpSettings
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._secrets = list(_secrets_of(settings))
        self._tls: ssl.SSLContext | None = None

    async def __call__(
        self,
        session: ClientSession,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        """Call *path* below the URL of the settings: segments that are quoted, a slash in them too."""
        url = "/".join((self._settings.url, *map(_segment, path))) + (f"?{urlencode(query)}" if query else "")
        return await self.to(session, method, url, **more)

    async def to(
        self,
        session: ClientSession,
        method: str,
        url: str,
        *,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        also: Sequence[int] = (),
        starts: bool = False,
    ) -> Answer:
        """Call *url* once; it is quoted already, and comes from the settings.

        Parameters
        ----------
        method, url : str
        json_body : any JSON value, optional
        form, headers : mapping, optional
        also : sequence of int
            Statuses beside 2xx that are an answer.
        starts : bool
            Whether this call starts the run.

        Raises
        ------
        Permanent, Retryable
        """
        import aiohttp
        from yarl import URL

        shown = f"{method} {url.partition('?')[0]}"
        sent = {"Accept": "application/json", "User-Agent": "driftgauge-bridge"}
        sent |= self._settings.headers | dict(headers or {})
        sent |= {
            name: one_line(given, f"header {name}") for name, given in self._settings.secret_headers.items()
        }
        # The last word too: "Bearer abc" is not in a message that repeats "abc".
        private = [value for name, value in dict(headers or {}).items() if name not in PUBLIC]
        secrets = [*self._secrets, *private, *(value.rpartition(" ")[2] for value in private)]
        data: Any = None
        if json_body is not None:
            data = as_json(json_body).encode("utf-8", "replace")
            sent.setdefault("Content-Type", "application/json")
        elif form is not None:
            data = urlencode(form, errors="replace").encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            async with session.request(
                method,
                URL(url, encoded=True),
                data=data,
                headers=sent,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
                ssl=self._context(),
            ) as response:
                body = await _read(response, shown)
                answer = Answer(response.status, response.headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            told = getattr(error, "os_error", None) or "no connection in time"
            message = f"{shown}: cannot connect: {hidden(words(str(told)), secrets)}"
            raise Retryable(message) from None
        except TimeoutError:
            message = f"{shown}: no answer within {self._settings.timeout:g} s"
            raise Retryable(message, maybe_started=starts) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            message = f"{shown}: cannot be sent: {type(error).__name__}; look at url and headers"
            raise Permanent(message) from None
        except (aiohttp.ClientError, OSError) as error:
            message = f"{shown}: the connection was lost ({type(error).__name__})"
            raise Retryable(message, maybe_started=starts) from None
        if 200 <= answer.status < 300 or answer.status in also:
            return answer
        raise _failure(answer, shown, secrets, starts)

    def _context(self) -> ssl.SSLContext | bool:
        if not self._settings.ca_file:
            return True
        if self._tls is None:
            try:
                self._tls = ssl.create_default_context(cafile=self._settings.ca_file)
            except (OSError, ssl.SSLError) as error:
                message = (
                    f"ca_file {self._settings.ca_file} cannot be read: {error.strerror or 'it is no PEM'}"
                )
                raise Permanent(message) from None
        return self._tls


def _secrets_of(settings: HttpSettings) -> Iterator[str]:
    for _, value in settings:
        for each in value.values() if isinstance(value, dict) else (value,):
            if isinstance(each, SecretStr):
                yield each.get_secret_value().strip()


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        message = f"{text!r} is no part of a path; look at the settings, and at the id that the system gave"
        raise Permanent(message)
    return quote(text, safe="")


async def _read(response: ClientResponse, shown: str) -> Any:
    found = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        found += chunk
        if len(found) > ANSWER_BYTES:
            message = (
                f"{shown}: answered {response.status} with more than {ANSWER_BYTES} bytes; is url its API?"
            )
            raise Permanent(message)
    try:
        return json.loads(found) if found else None
    except (ValueError, RecursionError):
        return found[:4096].decode("utf-8", "replace")


def _failure(answer: Answer, shown: str, secrets: Sequence[str], starts: bool) -> Permanent | Retryable:
    status = answer.status
    told = hidden(words(_told(answer.body)), secrets)
    reason = f"{shown}: {status}" + (f", {told}" if told else "")
    wait = _wait(answer.headers)
    if status == 403 and wait is not None:
        return Retryable(f"{reason}; a rate limit", wait)
    if status in (408, 425, 429):
        return Retryable(reason, wait, maybe_started=starts and status == 408)
    if status >= 500:
        # A gateway's 503 can come after the request was passed on; with Retry-After it was turned away.
        return Retryable(reason, wait, maybe_started=starts and not (status == 503 and wait is not None))
    if 300 <= status < 400:
        where = urlsplit(answer.headers.get("Location", ""))
        place = (
            words(f"{where.scheme}://{where.netloc.rpartition('@')[2]}") if where.netloc else "another path"
        )
        return Permanent(f"{reason}; it redirects to {place}, which is not followed; set url to where it is")
    hint = {
        401: "; look at the token, or user and password",
        403: "; it lacks a permission",
        404: "; look at url and the names in the settings",
    }.get(status, "")
    return Permanent(reason + hint)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until a further try is welcome; None where nothing is said."""
    text = headers.get("Retry-After", "").strip()
    until: float | None = None
    if text.isdecimal():
        return min(float(text), LONGEST_WAIT_SECONDS)
    try:
        if text:
            until = parsedate_to_datetime(text).timestamp()
        elif headers.get("X-RateLimit-Remaining", "").strip() == "0":
            until = float(headers.get("X-RateLimit-Reset", "nan"))
    except (ValueError, OverflowError):
        return None
    if until is None:
        return None
    try:  # against the clock of the system itself, which sends it with every answer
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        return 60.0
    wait = until - now
    return 60.0 if math.isnan(wait) else min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def _told(body: Any, depth: int = 3) -> str:
    """The words for people in an error: GitHub's ``message``, FastAPI's ``detail``, RFC 9457's ``title``."""
    if isinstance(body, str):
        return "" if body.lstrip()[:1] == "<" else body  # a page of HTML tells nothing
    if isinstance(body, list) and depth:
        return "; ".join(filter(None, (_told(each, depth - 1) for each in body[:3])))
    if isinstance(body, dict) and depth:
        found = [_told(body[name], depth - 1) for name in WORDY if body.get(name)]
        return ": ".join(dict.fromkeys(filter(None, found)))
    return ""


def words(text: str) -> str:
    """*text* in one line of at most 300 printable characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * WORDS]).split())
    return line if len(line) <= WORDS else line[: WORDS - 1] + "…"
