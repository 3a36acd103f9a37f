"""Answers that take long to make and many visitors ask for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class MadeOnce:
    """What is asked for several times is made once, while all wait for it; the last `most` answers are kept.

    They are made in threads of their own, `threads` at a time, so that who waits keeps nobody else from being answered.
    """

    def __init__(self, most: int, threads: int = 1) -> None:
        self.most = most
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="made-once")
        self.answers: OrderedDict[Hashable, asyncio.Future] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[..., Any], *arguments: Any) -> Any:
        """`make(*arguments)`, or what it gave when it was last asked for under this key. Raises what `make` raises, each time anew."""
        answer = self.answers.get(key)
        if answer is None:
            answer = self.answers[key] = asyncio.get_running_loop().run_in_executor(self.threads, make, *arguments)
            answer.add_done_callback(lambda done: self._forget_failed(key, done))
        self.answers.move_to_end(key)
        while len(self.answers) > self.most:
            self.answers.popitem(last=False)
        return await asyncio.shield(answer)  # a visitor who leaves ends nobody else's

    def close(self) -> None:
        """What has not begun is not begun any more."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _forget_failed(self, key: Hashable, done: asyncio.Future) -> None:
        if (done.cancelled() or done.exception() is not None) and self.answers.get(key) is done:
            del self.answers[key]
