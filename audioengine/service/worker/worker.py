# SPDX-License-Identifier: Apache-2.0
"""The worker: takes commands from a queue, carries them out on all cores, and reports them.

One thread receives, one for each process hands it commands, some deliver and delete, some give
back, one keeps what is in hand from others, and one looks at the dead letters.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import tenacity

from audioengine import retries
from audioengine.commands.named_recordings import recordings_of
from audioengine.errors import AudioEngineError
from audioengine.execution.outcome import Outcome
from audioengine.operations.workers import worker_count
from audioengine.service.logs import log
from audioengine.service.metrics import Metrics
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.worker.dead_letters import DeadLetters
from audioengine.service.worker.queued_command import Deployment, QueuedCommand
from audioengine.service.worker.recording_order import HeldMessage, RecordingOrder
from audioengine.service.worker.settlement import Settlement, bug_message, log_bug
from audioengine.service.worker.worker_process import DiedError, WorkerProcess
from audioengine.settings.worker import LONGEST_VISIBILITY_S

_MOST_RECEIVED = 10
# Of commands in hand, beyond which nothing is received.
_MOST_HELD = 10_000
# Of a tenant, in hand where they have to wait; the rest is given back, so that those of others
# behind it can be received. Each time counts as one of its tries, so it is for long.
_MOST_OF_TENANT = 200
_GIVEN_BACK_S = 900
# Of a tenant, given back; the rest has no place of its own.
_MOST_AWAY = 10_000
_GIVERS = 4
_EXPIRES_EVERY_S = 6 * 3600
_TICK_S = 0.5
# Before a queue that does not wait itself is asked again.
_IDLE_S = 0.05
_STOPPED = "the worker was stopped"


class Worker:
    """Runs until it is stopped; then it finishes what it has begun, and gives back the rest."""

    def __init__(
        self,
        queue: CommandQueue,
        settlement: Settlement,
        deployment: Deployment,
        metrics: Metrics,
    ) -> None:
        """Begin nothing yet; the settings' table `worker` says how many at once and how long."""
        self._queue = queue
        self._settlement = settlement
        self._retries = settlement.retries
        self._deployment = deployment
        self._metrics = metrics
        self._settings = deployment.settings.worker
        local = deployment.settings.storage.root is not None
        # Where recordings are in S3, one command renders while another waits for the store.
        count = self._settings.processes or worker_count(None) * (1 if local else 2)
        self._processes = [WorkerProcess(deployment) for _ in range(count)]
        # A tenant that is alone leaves room for nobody.
        self._is_shared = len(deployment.settings.domains) > 1
        self._order = RecordingOrder(
            most_of_troubled=max(1, count // 2) if self._is_shared else count,
            most_troubled=max(1, count - 1) if self._is_shared else count,
        )
        self._parked: set[HeldMessage] = set()
        self._working: dict[WorkerProcess, HeldMessage] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._drained = threading.Event()
        self._late = threading.Event()
        self._settles = self._settings.settle_dead_letters
        self._dead = DeadLetters(
            queue.dead_letters if self._settles else _no_dead_letters,
            settlement,
            is_held=self._is_held,
            is_late=self._late.is_set,
            every_s=self._settings.visibility_s,
            changed=self._let_parked,
        )
        self._ended = threading.Event()
        self._bug: Exception | None = None

    def held(self) -> int:
        """Return how many commands are in hand."""
        with self._changed:
            return self._order.in_hand

    def away(self) -> int:
        """Return how many commands were given back and keep their place in the order."""
        with self._changed:
            return self._order.away

    def _is_held(self, message_id: str) -> bool:
        with self._changed:
            held = self._order.find(message_id)
            return held is not None and held.away_until is None

    def stop(self) -> None:
        """Ask `run` to drain and return; from any thread, or a signal's handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until `stop`.

        Raises StorageError where the queue is not there, or may not be asked about itself.
        """
        self._check_queue()
        count = len(self._processes)
        with (
            ThreadPoolExecutor(_GIVERS, "give-back") as self._givers,
            ThreadPoolExecutor(max(4, 2 * count), "end") as self._enders,
        ):
            receiver, keeper = self._thread(self._receive_all), self._thread(self._keep_all)
            runners = [self._thread(self._run_all, process) for process in self._processes]
            is_over = threading.Event()
            settler = self._thread(self._dead.run, is_over)
            expirer = self._thread(self._expire_notes)
            log().info("worker began", processes=len(self._processes))
            # Not for ever: a signal's handler runs between two waits.
            while not self._stopping.wait(_TICK_S):
                pass
            self._drain(receiver, runners)
            is_over.set()
            self._dead.ask()
            for thread in (settler, expirer):
                thread.join()
            self._ended.set()
            keeper.join()
        for process in self._processes:
            process.close()
        log().info("worker ended")
        if self._bug is not None:
            raise self._bug

    def _thread(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(target, *args), daemon=True)
        thread.start()
        return thread

    def _guarded(self, target: Callable[..., None], *args: object) -> None:
        """Stop the worker if a thread fails: without it, the others would only seem to work."""
        try:
            target(*args)
        except Exception as error:  # noqa: BLE001 - raised where all ends
            log().error("internal error", error=f"{type(error).__name__}: {error}")
            self._bug = error
            self.stop()

    def _check_queue(self) -> None:
        """Wait until the queue says how often it hands a message out."""
        retrying = tenacity.Retrying(
            wait=retries.QUEUE.wait,
            retry=tenacity.retry_if_exception(retries.is_retryable),
            stop=tenacity.stop_when_event_set(self._stopping),
            sleep=tenacity.sleep_using_event(self._stopping),
            before_sleep=_log_failure,
            reraise=True,
        )
        retrying(self._retries.max_receives)

    # Receiving

    def _receive_all(self) -> None:
        failures = 0
        while (room := self._room()) > 0:
            try:
                messages = self._queue.receive(min(room, _MOST_RECEIVED), self._settings.wait_s)
            except AudioEngineError as error:
                log().error("can't receive", error=str(error))
                failures += 1
                self._stopping.wait(retries.QUEUE.pause_s(failures))
                continue
            failures = 0
            for message in messages:
                self._take_in(message)
            if not messages and self._settings.wait_s == 0:
                self._stopping.wait(_IDLE_S)

    def _room(self) -> int:
        """Wait until messages can be received, and return how many; 0 when it is time to stop."""
        with self._changed:
            while not self._stopping.is_set():
                ready = 2 * len(self._processes) - self._order.ready - len(self._working)
                # Where there is one tenant, what is away keeps nothing from others.
                left = _MOST_HELD - self._order.in_hand
                if not self._is_shared:
                    left = _MOST_OF_TENANT - self._order.in_hand - self._order.away
                if (room := min(ready, left)) > 0:
                    return room
                self._changed.wait(_TICK_S)
        return 0

    def _take_in(self, message: Message) -> None:
        now = time.monotonic()
        # What should have kept the recording of a delete may be with the dead letters.
        parks = self._settles and QueuedCommand.of(message).kind == "DELETERECORDING"
        recordings, tenant = recordings_of(message.body), self._settlement.tenant_of(message)
        with self._changed:
            held = self._order.find(message.message_id)
            if held is not None:
                # Its time ran out, or it was given back: it is not begun twice.
                self._order.come_again(held, message, now, waits=parks)
            else:
                self._metrics.received(message.sent_ms)
                held = HeldMessage(message, recordings, now, tenant, waits=parks)
                self._order.add(held)
            if held.waits:
                self._parked.add(held)
                self._dead.ask()
            pause = self._too_many(held)
            if pause is not None:
                self._put_away(held, pause, has_failed=False)
            self._changed.notify_all()
        if pause is not None:
            self._givers.submit(self._release, message, pause)
        elif held.is_behind:
            self._extend(held)

    def _too_many(self, held: HeldMessage) -> int | None:
        """Return for how long a message is given back because too many of its tenant wait, or None.

        Not if it would not come again, nor where there is nobody to whom that could matter.
        """
        is_too_many = self._order.in_hand_of(held.tenant) > _MOST_OF_TENANT
        if not is_too_many or not held.is_waiting or self._retries.is_final(held.message):
            return None
        if self._is_shared and self._order.has_trouble(held.tenant):
            return _GIVEN_BACK_S
        return self._settings.visibility_s if held.is_behind or held.waits else None

    def _let_parked(self) -> None:
        """Let the deletes begin that waited for a look at the dead letters."""
        with self._changed:
            for held in tuple(self._parked):
                is_waiting = self._order.find(held.message.message_id) is held and held.waits
                if is_waiting and not self._dead.may_delete(held.recordings, held.since):
                    continue
                self._parked.discard(held)
                if is_waiting:
                    self._order.let(held)
            self._changed.notify_all()

    def _forget_those_away(self) -> None:
        """Give up the places of messages that did not come again in time: others have them."""
        is_over = self._drained.is_set()
        self._order.forget_late(float("inf") if is_over else time.monotonic())

    # Carrying out

    def _run_all(self, process: WorkerProcess) -> None:
        while (held := self._next(process)) is not None:
            self._metrics.took("turn", time.monotonic() - held.since)
            outcome = self._attempt(process, held)
            with self._changed:
                del self._working[process]
            self._enders.submit(self._end, held, outcome)

    def _next(self, process: WorkerProcess) -> HeldMessage | None:
        with self._changed:
            while True:
                self._forget_those_away()
                # Nothing new is begun while it is not clear yet what is given back.
                is_open = self._drained.is_set() or not self._stopping.is_set()
                if is_open and (held := self._order.begin(time.monotonic())) is not None:
                    self._working[process] = held
                    self._changed.notify_all()
                    return held
                if self._drained.is_set() and not self._waiting():
                    return None
                self._changed.wait(_TICK_S)

    def _attempt(self, process: WorkerProcess, held: HeldMessage) -> Outcome | None:
        """Try a command; None: it could not be begun, and is to be tried again."""
        try:
            return self._outcome(process, held)
        except AudioEngineError as error:
            log().error("command can't be begun", error=str(error))
        except Exception as error:  # noqa: BLE001 - a bug must end the command, and no other
            log_bug(error)
            with suppress(Exception):
                bug = AudioEngineError(bug_message(error))
                return self._deployment.fail(QueuedCommand.of(held.message), bug)
        return None

    def _outcome(self, process: WorkerProcess, held: HeldMessage) -> Outcome:
        command = QueuedCommand.of(held.message)
        if (refused := self._settlement.refusal(held.message, held.recordings)) is not None:
            return refused
        try:
            if self._late.is_set():
                raise DiedError(_STOPPED)  # noqa: TRY301 - as if it had been begun
            self._settlement.before_attempt(held.message, held.recordings)
            outcome = process.run(command)
        except DiedError as error:
            log().error("process died", error=str(error))
            # Once there is no time left, the store is asked nothing.
            end = self._deployment.fail if self._late.is_set() else self._deployment.conclude
            return end(command, error)
        self._metrics.took("execute", outcome.seconds)
        return outcome

    # Ending

    def _end(self, held: HeldMessage, outcome: Outcome | None) -> None:
        pause: int | None = self._retries.backoff_s(held.message)
        try:
            if outcome is not None:
                pause = self._settlement.settle(held.message, outcome, held.recordings)
        except AudioEngineError as error:
            # Neither sent nor kept: all is done again.
            log().error("command can't be reported", error=str(error))
        except Exception as error:  # noqa: BLE001 - a bug must not lose a command
            log_bug(error)
        if pause is None:
            self._delete(held)
            with self._changed:
                self._order.end(held)
                if outcome is not None and outcome.error is not None:
                    self._order.note_failure(held.tenant)
                self._changed.notify_all()
        else:
            self._give_back(held, 0 if self._late.is_set() else pause)

    def _delete(self, held: HeldMessage) -> None:
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(3),
            wait=retries.QUEUE_DELETE.wait,
            retry=tenacity.retry_if_exception(retries.is_retryable),
            reraise=True,
        )
        try:
            with self._metrics.timed("delete"):
                # Each time as it was handed out last.
                retrying(lambda: self._queue.delete(held.message))
        except AudioEngineError as error:
            # It comes again, finds what it did, and reports the same.
            log().warning("message can't be deleted", error=str(error))

    def _give_back(self, held: HeldMessage, pause: int) -> None:
        """Give a command back for later, and those of its group, which must not overtake it."""
        message = held.message
        with self._changed:
            is_full = self._order.away_of(held.tenant) >= _MOST_AWAY
        if is_full:
            # Its place is given up: a note keeps a delete behind it from its recordings.
            with suppress(Exception):
                self._settlement.note_pending(message, held.recordings)
        with self._changed:
            following = [
                one
                for one in self._waiting()
                if one.message.group is not None
                and one.message.group == message.group
                and not self._retries.is_final(one.message)
            ]
            for one in following:
                self._order.end(one)
            self._put_away(held, pause, has_failed=True)
            self._changed.notify_all()
        for given in (*(one.message for one in following), message):
            self._release(given, pause)

    def _put_away(self, held: HeldMessage, pause: int, *, has_failed: bool) -> None:
        if self._order.away_of(held.tenant) >= _MOST_AWAY:
            self._order.end(held)
            return
        until = time.monotonic() + pause + self._settings.visibility_s
        self._order.give_back(held, until, has_failed=has_failed)

    def _release(self, message: Message, pause: int) -> None:
        try:
            self._queue.release(message, pause)
        except AudioEngineError as error:
            # Then it comes again when its time has run out.
            log().warning("message can't be given back", error=str(error))

    # Keeping from others

    def _keep_all(self) -> None:
        while not self._ended.wait(self._settings.visibility_s / 3):
            with self._changed:
                held = [one for one in self._order if one.away_until is None]
                working = dict(self._working)
            for process, one in working.items():
                if time.monotonic() - (one.begun or 0) > self._settings.longest_s:
                    process.kill(f"it took longer than {self._settings.longest_s} s")
            for _ in self._givers.map(self._extend, held):
                pass

    def _extend(self, held: HeldMessage) -> None:
        # What waits for another comes after it, should this worker die.
        seconds = self._settings.visibility_s * (2 if held.begun is None else 1)
        left = LONGEST_VISIBILITY_S - 1 - int(time.monotonic() - held.since)
        if left < 1:
            return
        try:
            self._queue.extend(held.message, min(seconds, left))
        except AudioEngineError as error:
            with self._changed:
                is_held = self._order.find(held.message.message_id) is held
            if is_held:  # else it came to its end meanwhile
                log().warning("message can't be kept", error=str(error))

    def _expire_notes(self) -> None:
        pause = random.uniform(60, 600)  # noqa: S311 - spreads what many workers do
        while not self._stopping.wait(pause):
            pause = _EXPIRES_EVERY_S
            try:
                self._settlement.expire_notes()
            except AudioEngineError as error:
                log().warning("notes of failures can't be deleted", error=str(error))

    # Stopping

    def _drain(self, receiver: threading.Thread, runners: list[threading.Thread]) -> None:
        """Let begun commands finish, within `drain_s`, and give back the rest."""
        log().info("worker drains")
        until = time.monotonic() + self._settings.drain_s
        rest = self._put_aside()
        receiver.join()
        # Not before: it would have got them again.
        for one in (*rest, *self._put_aside()):
            self._release(one.message, 0)
        self._drained.set()
        for runner in runners:
            runner.join(max(0.0, until - time.monotonic()))
        self._late.set()
        for process in self._processes:
            process.kill(_STOPPED)
        for runner in runners:
            runner.join()

    def _waiting(self) -> list[HeldMessage]:
        return [one for one in self._order if one.is_waiting]

    def _put_aside(self) -> list[HeldMessage]:
        """Take out what is not begun, except final attempts: they would not come again."""
        with self._changed:
            rest = [one for one in self._waiting() if not self._retries.is_final(one.message)]
            for one in rest:
                self._order.end(one)
            self._changed.notify_all()
        return rest


def _no_dead_letters() -> None:
    """Leave dead letters alone."""


def _log_failure(state: tenacity.RetryCallState) -> None:
    assert state.outcome is not None
    log().warning("queue can't be asked", error=str(state.outcome.exception()))
