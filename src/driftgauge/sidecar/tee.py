"""Every event, passed on as it came to the sink that the user already had."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from driftgauge.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["OUTCOMES", "Tee"]

OUTCOMES: Final = ("delivered", "refused", "failed", "queue_full")
"""What became of an event: taken (2xx); not taken and no use to try again; given up; never tried."""

WORKERS: Final = 8
ATTEMPTS: Final = 3
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 2.0
ATTEMPT_SECONDS: Final = 5.0
EVENT_BYTES: Final = 2_000  # what an event takes beside its body: some twenty headers
LOG_SECONDS: Final = 60.0

# RFC 9110, section 7.6.1: of this connection and of no other. Host is the other sink's.
_OF_THE_CONNECTION: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_NOT_PASSED_ON: Final = _OF_THE_CONNECTION | {b"host", b"content-length", b"expect", b"proxy-authorization"}
_WORTH_ANOTHER_TRY: Final = frozenset((408, 425, 429, 500, 502, 503, 504))

_log = logging.getLogger("driftgauge.sidecar.tee")


class _Again(Exception):  # noqa: N818 - a signal between two functions here
    """An attempt that failed and may be made again."""


@dataclass(frozen=True, slots=True)
class _Event:
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    tell: Callable[[str], None]

    @property
    def size(self) -> int:
        return len(self.body) + EVENT_BYTES


class Tee:
    """Forwards events to another sink, later and elsewhere than in the answer to whoever sent them.

    Parameters
    ----------
    url : str
        Where the other sink takes events: ``http://…`` or ``https://…``.
    queue_events, queue_bytes : int
        What may wait for it. Default 1,000 events and 64 MiB. What does not fit is counted and not forwarded.
    attempts : int
        At most so many for one event, with pauses that grow and jitter between them. Default 3.
    first_pause_seconds : float
        Before the second attempt, at most; each further pause is twice as long, up to 2 s.
    attempt_seconds : float
        How long one attempt may take. Default 5.
    workers : int
        Events under way at once. Default 8.
    leave_out : iterable of str
        Headers that are not passed on, such as ``authorization`` where the token in it is the sidecar's.

    Raises
    ------
    ConfigError
        When the URL is not one of HTTP.
    MissingExtraError
        When aiohttp or tenacity is not installed.

    Examples
    --------
    >>> import asyncio
    >>> async def dead_sink():
    ...     tee = Tee("http://127.0.0.1:9/", attempts=1)
    ...     await tee.start()
    ...     tee.put(((b"Ce-Id", b"7"),), b"{}")
    ...     await tee.stop(drain_seconds=5)
    ...     return dict(tee.counts)
    >>> asyncio.run(dead_sink())
    {'delivered': 0, 'refused': 0, 'failed': 1, 'queue_full': 0}

    Notes
    -----
    Body and headers go on unchanged, the latter in order and in their spelling, but for those that belong to
    the connection (RFC 9110, section 7.6.1), ``Host`` and ``Expect``. Bytes of a header that are not UTF-8
    are lost: aiohttp cannot send them. Redirects are not followed, the event would change on the way. Order
    is not kept, as no payload logger keeps it. An event may arrive twice, when the sink took it and died
    before it said so.
    """

    def __init__(
        self,
        url: str,
        *,
        queue_events: int = 1_000,
        queue_bytes: int = 64 << 20,
        attempts: int = ATTEMPTS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        attempt_seconds: float = ATTEMPT_SECONDS,
        workers: int = WORKERS,
        leave_out: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            import tenacity  # noqa: F401
            from yarl import URL
        except ImportError as error:
            message = "the tee needs aiohttp and tenacity; pip install driftgauge[sidecar]"
            raise MissingExtraError(message) from error
        try:
            self._url = URL(url)
        except ValueError:
            self._url = URL()
        if self._url.scheme not in ("http", "https") or not self._url.host:
            message = f"tee must be the http:// or https:// address of a sink, got {url!r}"
            raise ConfigError(message)
        self.counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self._queue_events = queue_events
        self._queue_bytes = queue_bytes
        self._attempts = attempts
        self._first_pause_seconds = first_pause_seconds
        self._attempt_seconds = attempt_seconds
        self._count_of_workers = workers
        self._left_out = _NOT_PASSED_ON | {name.lower().encode("latin-1") for name in leave_out}
        self._clock = clock
        self._told = -LOG_SECONDS
        self._waiting: deque[_Event] = deque()
        self._bytes = 0
        self._under_way = 0
        self._workers: list[asyncio.Task[None]] = []
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open for business, in the running event loop."""
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._count_of_workers),
            timeout=aiohttp.ClientTimeout(total=self._attempt_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
        )
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._count_of_workers)]

    def put(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        tell: Callable[[str], None] = lambda _: None,
    ) -> bool:
        """Have an event forwarded, soon. False when there is no room, which is counted. It never waits.

        Parameters
        ----------
        headers : iterable of pairs of bytes
            As they came.
        body : bytes
        tell : callable
            Is told the outcome, one of `OUTCOMES`.
        """
        event = _Event(tuple(headers), body, tell)
        if len(self._waiting) >= self._queue_events or self._bytes + event.size > self._queue_bytes:
            self._count(event, "queue_full")
            return False
        self._bytes += event.size
        self._waiting.append(event)
        self._none.clear()
        self._some.set()
        return True

    async def stop(self, drain_seconds: float) -> None:
        """Forward what waits, as far as the time allows; the rest has failed, and is counted so."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none.wait(), max(0.0, drain_seconds))
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []
        while self._waiting:
            event = self._waiting.popleft()
            self._bytes -= event.size
            self._count(event, "failed")
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ------------------------------------------------------------------ behind the answers

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._some.clear()
                await self._some.wait()
            event = self._waiting.popleft()
            self._under_way += 1
            outcome = "failed"
            try:
                outcome = await self._forward(event)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._say("failed", f"a {type(error).__name__}")
            finally:
                self._bytes -= event.size
                self._under_way -= 1
                self._count(event, outcome)
                if not self._waiting and not self._under_way:
                    self._none.set()

    async def _forward(self, event: _Event) -> str:
        import tenacity

        # Up to twice as long each time, and not all events of an outage at one moment.
        pauses = tenacity.wait_random_exponential(
            multiplier=self._first_pause_seconds, max=LONGEST_PAUSE_SECONDS
        )
        tries = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=pauses,
            retry=tenacity.retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            return await tries(self._attempt, event)
        except _Again as error:
            self._say("failed", str(error))
            return "failed"

    async def _attempt(self, event: _Event) -> str:
        import aiohttp
        from multidict import CIMultiDict

        if self._session is None:
            return "failed"
        headers: CIMultiDict[str] = CIMultiDict()
        spelling: dict[bytes, str] = {}
        for name, value in event.headers:
            if name.lower() not in self._left_out:
                # One spelling for a name that comes twice: aiohttp keeps only the last of two spellings.
                spelled = spelling.setdefault(name.lower(), name.decode("latin-1"))
                headers.add(spelled, value.decode("utf-8", "surrogateescape"))
        try:
            async with self._session.post(
                self._url, data=event.body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _Again(type(error).__name__) from error
        if 200 <= status < 300:
            return "delivered"
        if status in _WORTH_ANOTHER_TRY:
            message = f"status {status}"
            raise _Again(message)
        self._say("refused", f"status {status}")
        return "refused"

    def _count(self, event: _Event, outcome: str) -> None:
        self.counts[outcome] += 1
        try:
            event.tell(outcome)
        except Exception:
            _log.debug("a listener to the tee raised", exc_info=True)

    def _say(self, outcome: str, why: str) -> None:
        """One line a minute at most: the counter has the rest."""
        now = self._clock()
        if now - self._told < LOG_SECONDS:
            return
        self._told = now
        _log.warning(
            "an event was not taken by the sink at %s: %s (%s); further ones of this minute are only counted",
            self._url.origin(),
            outcome,
            why,
        )
