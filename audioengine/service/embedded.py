# SPDX-License-Identifier: Apache-2.0
"""The whole service in one process and those of its worker, with all that it keeps in one folder.

For trying it out: there is one tenant, and no AWS. The folder's ``audioengine.toml`` is that of any
deployment, so that other verbs work with it, also meanwhile.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import jwt
import tomli_w
import uvicorn

from audioengine.errors import InvalidRequestError, StorageError
from audioengine.service.endpoints import queue_of, topics_file
from audioengine.service.metrics import Metrics
from audioengine.service.recorder.openapi import recorder_part
from audioengine.service.recorder.wiring import routes_served, senders_of, whole_worker
from audioengine.service.rest.app import make_app
from audioengine.service.rest.serving import serve, server_of
from audioengine.service.worker.worker import Worker
from audioengine.settings import RestSettings, Settings, load_settings
from audioengine.storage.files import Failing

DOMAIN = "demo.example.com"
"""The tenant."""

_TEMPORARY, _OUTPUTS = "temporary", "recordings"
_KEY_BYTES = 48
_KID = "demo"
_ALGORITHM = "HS256"
_TOKEN_S = 365 * 86400
# What a killed service had in hand is taken up again so soon.
_VISIBILITY_S = 10
# A drain waits for it.
_WAIT_S = 1
_LOOKS_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with all that a service needs."""

    folder: Path
    settings: Settings
    token: str = field(repr=False)
    """The tenant's access token; also in the file ``token``."""
    recorder_token: str = field(repr=False)
    """That of whatever records; also in ``recorder-token``."""

    @property
    def domain(self) -> str:
        """The tenant."""
        return DOMAIN

    @property
    def settings_file(self) -> Path:
        """For the other verbs."""
        return self.folder / "audioengine.toml"

    @property
    def outputs(self) -> Path:
        """The folder that is the tenant's bucket."""
        return self.folder / "buckets" / _OUTPUTS

    @property
    def topics(self) -> Path:
        """All events and alarms, as lines of JSON."""
        return topics_file(self.folder)


def prepare(folder: Path) -> Place:
    """Make a folder, its settings with new keys, and tokens, or take what is there already.

    Raises StorageError where it can't be made or read, InvalidRequestError for settings in it that
    are wrong, or of another folder.
    """
    folder = folder.resolve()
    path = folder / "audioengine.toml"
    with Failing(f"can't make {str(folder)!r}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for bucket in (_TEMPORARY, _OUTPUTS):
            (folder / "buckets" / bucket).mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write(path, tomli_w.dumps(_values(folder)))
    settings = load_settings(path)
    if settings.worker.embedded != folder:
        rule = f"must be {str(folder)!r}, the folder of these settings"
        raise InvalidRequestError.of("worker.embedded", str(settings.worker.embedded), rule)
    rest, recorder = settings.rest, settings.recorder
    key, recorder_key = rest.keys.get(_KID), recorder.token_key
    if key is None or recorder_key is None:
        rule = "must be set: a token is made with it"
        name = f"rest.keys.{_KID}" if key is None else "recorder.token_key"
        raise InvalidRequestError.of(name, None, rule)
    domain = {"domain": DOMAIN}
    return Place(
        folder,
        settings,
        _kept(folder / "token", key.get_secret_value(), rest.audience, domain),
        _kept(folder / "recorder-token", recorder_key.get_secret_value(), recorder.audience, {}),
    )


def _values(folder: Path) -> dict[str, Any]:
    """Settings of a new deployment."""
    return {
        "token_key": secrets.token_urlsafe(_KEY_BYTES),
        "domains": {DOMAIN: {"buckets": [_OUTPUTS]}},
        "fallbacks": {
            "command_queue": "commands",
            "command_region": "local",
            "event_topic": "events",
            "alarm_topic": "alarms",
            "temp_bucket": _TEMPORARY,
        },
        "storage": {"root": str(folder / "buckets")},
        "worker": {
            "embedded": str(folder),
            "outbox": str(folder / "outbox.db"),
            "visibility_s": _VISIBILITY_S,
            "wait_s": _WAIT_S,
            "log_level": "warning",
        },
        "rest": {"keys": {_KID: secrets.token_urlsafe(_KEY_BYTES)}},
        "recorder": {
            "token_key": secrets.token_urlsafe(_KEY_BYTES),
            "report_queue": "reports",
            "control_queue": "control",
        },
    }


def _kept(path: Path, key: str, audience: str, claims: Mapping[str, str]) -> str:
    """The token of a file; a new one where there is none that still counts."""
    with Failing(f"can't keep {str(path)!r}"):
        with suppress(FileNotFoundError, jwt.InvalidTokenError):
            token = path.read_text(encoding="ascii").strip()
            jwt.decode(token, key, algorithms=[_ALGORITHM], audience=audience)
            return token
        until = {"aud": audience, "exp": int(time.time()) + _TOKEN_S}
        token = jwt.encode({**claims, **until}, key, algorithm=_ALGORITHM)
        _write(path, f"{token}\n")
        return token


def _write(path: Path, text: str) -> None:
    """A file that is whole or not there, and nobody else's to read."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    part.replace(path)


def serve_embedded(
    place: Place,
    rest: RestSettings,
    *,
    ready: Callable[[str], object],
    show: Callable[[str], object],
) -> None:
    """Serve until SIGTERM or SIGINT; then REST ends first, then the worker, then what shows events.

    rest: where to listen, which need not be as in the settings.
    ready: called with the URL once connections are taken.
    show: called with each event or alarm, as a line of JSON, whichever process publishes it.

    Raises StorageError where the address is taken, or a file can't be used.
    """
    settings = place.settings
    senders, metrics = senders_of(settings), Metrics()
    with ExitStack() as stack:
        stack.enter_context(_shown(place.topics, show))
        queue = stack.enter_context(closing(queue_of(settings)))
        routes = stack.enter_context(routes_served(settings, senders, metrics))
        worker = stack.enter_context(whole_worker(settings, senders, queue=queue, metrics=metrics))
        works = _Works(worker)
        app = make_app(
            settings,
            queue,
            routes,
            recorder_part() if routes else None,
            ready={"worker": works.check},
            metrics=[metrics.text],
        )
        server = server_of(app, rest)
        stack.enter_context(works.meanwhile(server))
        serve(server, rest, ready)


class _Works:
    """A worker in a thread beside the server: where the one ends, so does the other."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._error: Exception | None = None
        self._ended = threading.Event()

    def check(self) -> None:
        """Raise StorageError where the worker does not work."""
        if self._ended.is_set():
            raise StorageError("the worker has ended")

    @contextmanager
    def meanwhile(self, server: uvicorn.Server) -> Iterator[None]:
        """Work, and drain at the end; raise what broke the worker."""
        thread = threading.Thread(target=self._run, args=(server,), name="worker")
        thread.start()
        try:
            yield
        finally:
            self._worker.stop()
            thread.join()
        if self._error is not None:
            raise self._error

    def _run(self, server: uvicorn.Server) -> None:
        try:
            self._worker.run()
        except Exception as error:  # noqa: BLE001 - raised where all ends
            self._error = error
        finally:
            self._ended.set()
            server.should_exit = True


@contextmanager
def _shown(path: Path, show: Callable[[str], object]) -> Iterator[None]:
    """Show each line that comes into a file meanwhile."""
    ending = threading.Event()
    with Failing(f"can't read {str(path)!r}"):
        path.touch(0o600)
        file = path.open("rb")
    with file:
        file.seek(0, os.SEEK_END)
        thread = threading.Thread(target=_follow, args=(file, show, ending), name="topics")
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()


def _follow(file: IO[bytes], show: Callable[[str], object], ending: threading.Event) -> None:
    line = b""
    with suppress(OSError):  # nobody reads what is shown any more
        while True:
            is_last = ending.is_set()
            while part := file.readline():
                line += part
                if line.endswith(b"\n"):
                    show(line.decode().rstrip("\n"))
                    line = b""
            if is_last:
                return
            ending.wait(_LOOKS_EVERY_S)
