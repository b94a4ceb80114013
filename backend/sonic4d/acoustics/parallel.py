"""Work that is shared out to all processors and comes back in its order, so that results don't depend on the threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from ..monitor import Cancelled

Item = TypeVar("Item")
Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)

_POLL_S = 0.05


def thread_count() -> int:
    return os.cpu_count() or 1


def in_order(
    work: Sequence[Item],
    compute: Callable[[Item, Callable[[], None]], Result],
    poll: Callable[[], None],
) -> Iterator[Result]:
    """compute(item, check) for all items of `work`, by all processors, in the order of `work`.

    `compute` calls its second argument at least every 50 ms, which may raise. `poll` is called while nothing is ready; once
    it raises, all work stops. Raises whatever `poll` and `compute` raise.
    """
    threads = thread_count()
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Cancelled

    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in range(len(work)):
                while len(pending) < 2 * threads and done + len(pending) < len(work):
                    pending.append(pool.submit(compute, work[done + len(pending)], check))
                future = pending.popleft()
                while not future.done():
                    poll()
                    wait([future], _POLL_S)
                yield future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


class Remembered(Generic[Key, Result]):
    """What was computed for the last `capacity` keys; each is computed once, also if several threads ask for it."""

    def __init__(self, compute: Callable[[Key], Result], capacity: int) -> None:
        self._compute, self._capacity = compute, capacity
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, Future[Result]] = OrderedDict()

    def __call__(self, key: Key) -> Result:
        with self._lock:
            future = self._known.get(key)
            mine = future is None
            if future is None:
                future = self._known[key] = Future()
            self._known.move_to_end(key)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
        if mine:
            try:
                future.set_result(self._compute(key))
            except BaseException as error:
                future.set_exception(error)
        return future.result()
