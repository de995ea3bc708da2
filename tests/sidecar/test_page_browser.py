"""The status page in a real browser: served by its route, looked at in both schemes and on a phone."""

from __future__ import annotations

import asyncio
import shutil
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import page_models
import pytest
from aiohttp import web
from services import unavailable, until

from driftgauge.sidecar.page import MOST_WAITING, page_routes
from driftgauge.sidecar.page_render import REFRESH_SECONDS, headers
from driftgauge.sidecar.page_text import shown
from driftgauge.snapshot import Snapshot

DEADLINE_MILLISECONDS = 30_000
# Long words, attacks and 390 pixels: what a phone shows must not run out of it.
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Registry:
    """Snapshots that were made before."""

    def __init__(self, snapshots: list[Snapshot]) -> None:
        self.made = snapshots
        self.threads: set[str] = set()
        self.failing = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def snapshots(self) -> list[Snapshot]:
        self.may_go_on.wait(timeout=30)
        self.threads.add(threading.current_thread().name)
        if self.failing:
            message = "a value of a row"
            raise RuntimeError(message)
        return self.made

    def troubles(self) -> list[str]:
        return ["reference '<script>bad.reference' is damaged; profile it again"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry([page_models.churn(0), page_models.churn(8, "fraud"), page_models.hostile()])


@pytest.fixture(scope="module")
def address(registry: Registry) -> Iterator[str]:
    """Where the page is served, by a loop of its own."""
    port: Future[int] = Future()
    loop = asyncio.new_event_loop()

    async def start() -> None:
        app = web.Application()
        app.add_routes(page_routes(registry, clock=lambda: page_models.START + 3_000))
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.set_result(runner.addresses[0][1])

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=serve, name="loop of the page", daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port.result(timeout=30)}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=10)


def get(url: str, method: str = "GET") -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
        return answer.status, answer.headers, answer.read().decode("utf-8")


def query(**parameters: str) -> str:
    return "/?" + urllib.parse.urlencode(parameters)


def test_the_answer_has_the_headers_of_a_page_that_can_do_nothing(address: str) -> None:
    status, sent, text = get(address + "/")
    assert status == 200
    assert sent["Content-Type"] == "text/html; charset=utf-8"
    for name, value in headers().items():
        assert sent[name] == value
    assert sent["Refresh"] is None
    assert "fraud" in text


def test_a_head_request_has_no_body(address: str) -> None:
    assert get(address + "/", "HEAD")[2] == ""


def test_the_page_loads_itself_anew_when_asked(address: str) -> None:
    _, sent, text = get(address + query(refresh="on", model="fraud"))
    assert sent["Refresh"] == str(REFRESH_SECONDS)
    assert 'href="?model=fraud">stop' in text


def test_odd_questions_get_a_page(address: str) -> None:
    for odd in ("?model=%ff%00", "?model=&window=%ED%A0%80", "?model=a&model=b", "?" + "x=1&" * 500):
        assert get(f"{address}/{odd}")[0] == 200


def test_pages_are_not_made_in_the_thread_of_the_loop(address: str, registry: Registry) -> None:
    get(address + "/")
    assert "loop of the page" not in registry.threads


def test_a_page_that_cannot_be_made_tells_no_values(address: str, registry: Registry) -> None:
    registry.failing = True
    try:
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(address + "/")
    finally:
        registry.failing = False
    assert caught.value.code == 500
    assert "a value of a row" not in caught.value.read().decode()


def test_readers_in_a_hurry_wait_for_each_other_and_not_without_end(address: str, registry: Registry) -> None:
    def status() -> int:
        try:
            return int(get(address + "/")[0])
        except urllib.error.HTTPError as error:
            return error.code if error.headers["Retry-After"] == "1" else -1

    registry.may_go_on.clear()
    try:
        with ThreadPoolExecutor(MOST_WAITING + 4) as readers:
            answers = [readers.submit(status) for _ in range(MOST_WAITING + 4)]
            until(lambda: sum(each.done() for each in answers) == 4, "four to be turned away")
            registry.may_go_on.set()
            found = sorted(each.result(timeout=30) for each in answers)
    finally:
        registry.may_go_on.set()
    assert found == [200] * MOST_WAITING + [503] * 4


class Look:
    """One open page and everything it tried to do."""

    def __init__(self, browser: Any, url: str, scheme: str, size: dict[str, int]) -> None:
        self.context = browser.new_context(color_scheme=scheme, viewport=size)
        self.page = self.context.new_page()
        self.page.set_default_timeout(DEADLINE_MILLISECONDS)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append("dialog"), dialog.dismiss()))
        self.page.goto(url, wait_until="load")

    def boxes(self, selector: str) -> list[dict[str, float]]:
        found = self.page.locator(selector).all()
        return [box for each in found if (box := each.bounding_box()) is not None]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        unavailable("chromium is not there: apt-get install chromium")
    try:
        from playwright import sync_api as playwright
    except ImportError:
        unavailable("playwright is not installed: pip install playwright")
    with playwright.sync_playwright() as driver:
        # Root may not use Chromium's sandbox; the page is ours and on loopback.
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def look(chromium: Any, address: str) -> Iterator[Any]:
    looks: list[Look] = []

    def at(path: str, scheme: str = "light", size: dict[str, int] = DESK) -> Look:
        looks.append(Look(chromium, address + path, scheme, size))
        return looks[-1]

    yield at
    for each in looks:
        each.context.close()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("model", [page_models.MODEL, "fraud", "churn", None])
def test_nothing_runs_nothing_is_fetched_and_nothing_runs_out_of_the_page(
    look: Any, address: str, model: str | None, size: dict[str, int]
) -> None:
    path = "/" if model is None else query(model=model)
    seen = look(path, size=size)
    page = seen.page
    assert seen.said == []
    assert {url for url in seen.asked if not url.startswith("data:")} == {address + path}
    assert page.evaluate(f"window.{page_models.MARK}") is None
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.evaluate("document.styleSheets.length") == 1, "the policy knows another style"


def test_the_policy_stops_what_is_put_into_the_page(look: Any) -> None:
    """The other tests would see an attack: here is one, and the browser refuses it."""
    seen = look("/")
    seen.page.evaluate(
        f"""() => {{
            const script = document.createElement("script");
            script.textContent = "window.{page_models.MARK} = 1";
            document.body.append(script);
            const image = document.createElement("img");
            image.src = "/elsewhere.png";
            document.body.append(image);
        }}"""
    )
    assert seen.page.evaluate(f"window.{page_models.MARK}") is None
    assert any("Content Security Policy" in each for each in seen.said)


def test_hostile_names_are_read_as_they_are_written(look: Any) -> None:
    page = look(query(model=page_models.MODEL)).page
    text = page.locator("body").text_content()
    for name in {shown(each) for each in page_models.HOSTILE[:10]}:
        assert name in text
    assert page.locator("h2", has_text="</h2><script>").count() == 1


def test_bars_lie_inside_their_cards_and_are_as_long_as_their_shares(look: Any) -> None:
    seen = look(query(model="fraud"))
    for card in seen.page.locator(".card").all():
        outer = card.bounding_box()
        for shape in [*card.locator("svg.bars rect").all(), *card.locator("svg.bars text").all()]:
            inner = shape.bounding_box()
            assert outer["x"] <= inner["x"]
            assert inner["x"] + inner["width"] <= outer["x"] + outer["width"]
            assert inner["y"] + inner["height"] <= outer["y"] + outer["height"] + 1
    city = seen.page.locator(".card", has=seen.page.locator("h4", has_text="city"))
    bars = [
        (float(group.locator("text").nth(1).text_content().split()[0]), group.locator(".live").bounding_box())
        for group in city.locator("svg.bars g").all()
        if group.locator(".live").bounding_box() is not None
    ]
    long = max(bars, key=lambda pair: pair[0])
    assert long[0] > 40
    for share, box in bars:
        assert box["width"] == pytest.approx(
            long[1]["width"] * share / long[0], abs=1.5
        )  # half a pixel, 0.05 %


def test_texts_of_a_drawing_do_not_overlap(look: Any) -> None:
    for size in (DESK, PHONE):
        seen = look(query(model=page_models.MODEL), size=size)
        for drawing in seen.page.locator("svg.bars").all()[:3]:
            for group in drawing.locator("g").all():
                name, live, was = (text.bounding_box() for text in group.locator("text").all())
                assert name["x"] + name["width"] <= live["x"]
                assert live["x"] + live["width"] <= was["x"]


def test_a_reader_gets_from_the_models_to_one_and_to_another_window(look: Any) -> None:
    page = look("/").page
    page.get_by_role("link", name="fraud", exact=True).click()
    page.wait_for_url("**model=fraud**")
    assert page.title() == "drift: fraud · driftgauge"
    page.get_by_role("link", name="1h").click()
    page.wait_for_url("**window=1h**")
    assert page.locator(".windows [aria-current]").text_content().startswith("1h")
    page.get_by_role("link", name="driftgauge", exact=True).click()
    page.wait_for_load_state()
    assert page.locator("#model").count() == 0


def test_light_and_dark_follow_the_reader(look: Any) -> None:
    grounds = {
        scheme: look("/", scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 20, 24)"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_has_the_colours_of_both_distributions(look: Any, scheme: str) -> None:
    """A picture of the first drawing, pixel by pixel: live and reference are there, and not one over all."""
    page = look(query(model="fraud"), scheme).page
    picture = page.locator("svg.bars").first.screenshot(type="png")
    # The browser itself reads the picture, on a page without a policy; nothing else here can.
    blank = page.context.new_page()
    share = blank.evaluate(
        """async ([bytes, wanted]) => {
            const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], {type: "image/png"}));
            const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
            context.drawImage(image, 0, 0);
            const data = context.getImageData(0, 0, image.width, image.height).data;
            const found = wanted.map(() => 0);
            for (let i = 0; i < data.length; i += 4)
                wanted.forEach((colour, k) => {
                    if (colour.every((part, j) => Math.abs(part - data[i + j]) <= 2)) found[k] += 1;
                });
            return found.map((count) => count / (data.length / 4));
        }""",
        [
            list(picture),
            [[194, 111, 0], [201, 206, 214]] if scheme == "light" else [[240, 154, 26], [60, 69, 80]],
        ],
    )
    assert all(0.01 < each < 0.5 for each in share), share
