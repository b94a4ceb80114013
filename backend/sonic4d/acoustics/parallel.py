"""Work that is shared out to all processors and comes back in its order, so that results don't depend on the threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from threadpoolctl import ThreadpoolController

from ..monitor import Cancelled

Item = TypeVar("Item")
Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)

_POLL_S = 0.05
_blas_lock = threading.Lock()
_blas_users: list[Any] = []  # of the limit that the last one lifts


def thread_count() -> int:
    return os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """NumPy's matrix products and decompositions with one thread, in all of the process: with more of them sums are split,
    and rounded, otherwise. Also a decorator."""
    with _blas_lock:
        limit = _blas_users[0] if _blas_users else _limit_blas()
        _blas_users.append(limit)
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users.pop()
            if not _blas_users:
                limit.restore_original_limits()


def _limit_blas() -> Any:
    return ThreadpoolController().limit(limits=1, user_api="blas")


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
