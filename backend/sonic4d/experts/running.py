"""Running a model so that it can be stopped at any moment, and with less where memory doesn't suffice."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ..monitor import Monitor
from ..protocol import Sonic4DError

Setting = TypeVar("Setting")
Result = TypeVar("Result")

POLL_S = 0.05


@contextmanager
def stoppable(monitor: Monitor, *modules: Any) -> Iterator[None]:
    """While it lasts, each layer of the torch modules asks first whether to go on: raises `Cancelled` within one layer's time."""
    last = time.monotonic()

    def ask(*_: Any) -> None:
        nonlocal last
        if time.monotonic() - last > POLL_S:
            monitor.check()
            last = time.monotonic()

    layers = [layer for module in modules for layer in module.modules()]
    handles = [layer.register_forward_pre_hook(ask) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def in_background(monitor: Monitor, work: Callable[[], Result]) -> Result:
    """`work`, which has no moment to ask, in a thread of its own: on `Cancelled` it goes on unseen until it next reports."""
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
        monitor.check()
    if failure:
        raise failure[0]
    return outcome[0]


def step_callback(monitor: Monitor, stage: str, total: int) -> Callable[..., dict[str, Any]]:
    """`callback_on_step_end` of a diffusers pipeline: reports each step, raises `Cancelled`."""

    def callback(
        pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        monitor.progress(stage, step + 1, total)
        return tensors

    return callback


def with_less_memory(
    settings: Sequence[Setting],
    run: Callable[[Setting], Result],
    describe: Callable[[Setting], str],
    monitor: Monitor,
) -> Result:
    """`run` with the first of the settings, largest first, that memory suffices for; says so when it isn't the first.

    Raises `Sonic4DError` "out_of_memory" where the smallest is too large as well.
    """
    for setting, smaller in zip(settings, [*settings[1:], None], strict=True):
        try:
            return run(setting)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        free_memory()
        if smaller is not None:
            monitor.log(
                f"Memory does not suffice for {describe(setting)}; going on with {describe(smaller)}.",
                "warning",
            )
    raise Sonic4DError(
        "out_of_memory",
        f"Memory does not suffice, not even for {describe(settings[-1])}.",
        "Close other programs, use a shorter clip, or a smaller model.",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """torch tells by its own class on a GPU, by a RuntimeError on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return (
        "out of memory" in text
        or "can't allocate memory" in text
        or "alloc" in text
        and "fail" in text
    )


def free_memory() -> None:
    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
