"""Waiting for a coroutine from ordinary code, also where an event loop already runs (a notebook)."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def blocking(coroutine: Coroutine[object, object, T]) -> T:
    """The coroutine's result. Inside a running loop it runs in a thread with a loop of its own.

    An interrupt ends the waiting at once; there, the thread still finishes what it has begun.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        return thread.submit(asyncio.run, coroutine).result()
    finally:
        thread.shutdown(wait=False)
