"""Where the tests' servers run: what is asked for, or what there is; and the run says which and why."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest

from shared.local.servers import Servers
from tests.servers import choose, whereabouts


class EngineWithoutImages(BaseHTTPRequestHandler):
    """Answers as an engine does that has no image and reaches no registry."""

    def do_GET(self) -> None:
        if self.path.endswith(("/version", "/_ping")):
            self._answer(200, {"ApiVersion": "1.41"})
        else:
            self._answer(404, {"message": "No such image"})

    def do_POST(self) -> None:
        self._answer(500, {"message": "no registry answers"})

    def _answer(self, status: int, said: dict[str, str]) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def engine_without_images(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as short:  # the name of a socket may be long in no system
        socket = Path(short) / "engine"
        with UnixStreamServer(str(socket), EngineWithoutImages) as server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
            yield
            server.shutdown()
            serving.join()


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("unix:///nowhere/engine", "no container engine answers (No such file or directory)"),
        ("tcp://192.0.2.1:2375", "the container engine is on another machine"),
    ],
)
def test_where_no_engine_can_run_them_they_run_embedded_unless_containers_are_asked_for(
    host: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert whereabouts("auto") == f"embedded, for {why}"
    assert isinstance(choose("auto", tmp_path, ()), Servers)
    with pytest.raises(LookupError, match=re.escape(why)):
        choose("containers", tmp_path, ())


@pytest.mark.usefixtures("engine_without_images")
def test_where_an_engine_cannot_get_the_images_the_run_warns_and_they_run_embedded(tmp_path: Path) -> None:
    assert whereabouts("auto") == "in containers, for a container engine answers"
    why = "cannot get apache/kafka.*no registry answers"
    with pytest.warns(UserWarning, match=why):
        assert isinstance(choose("auto", tmp_path, ()), Servers)
    with pytest.raises(LookupError, match=why):
        choose("containers", tmp_path, ())


@pytest.mark.usefixtures("engine_without_images")
def test_embedded_servers_that_are_asked_for_need_no_engine(tmp_path: Path) -> None:
    assert whereabouts("embedded") == "embedded, as asked"
    assert isinstance(choose("embedded", tmp_path, ()), Servers)
