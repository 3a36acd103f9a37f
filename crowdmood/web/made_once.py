"""Answers that take long to make and many visitors ask for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from threading import Semaphore, Thread
from typing import Any


class MadeOnce:
    """What is asked for several times is made once, while all wait for it; the last `most` answers are kept.

    They are made in threads of their own, `at_once` at a time, so that who waits keeps nobody else from being answered; and in
    such that end with the process, for a film may take minutes to read.
    """

    def __init__(self, most: int, at_once: int = 1) -> None:
        self.most = most
        self.places = Semaphore(at_once)
        self.answers: OrderedDict[Hashable, tuple[Any, asyncio.Future]] = OrderedDict()

    async def get(self, key: Hashable, state: Any, make: Callable[..., Any], *arguments: Any) -> Any:
        """`make(*arguments)`, or what it gave when it was last asked for under this key.

        state: of what it is made from; with another one it is made anew, and the old answer is forgotten. Raises what `make`
        raises, each time anew.
        """
        known, answer = self.answers.get(key, (None, None))
        if answer is None or known != state:
            answer = asyncio.get_running_loop().create_future()
            self.answers[key] = state, answer
            answer.add_done_callback(lambda done: self._forget_failed(key, done))
            Thread(target=self._make, args=(answer, make, arguments), daemon=True).start()
        self.answers.move_to_end(key)
        while len(self.answers) > self.most:
            self.answers.popitem(last=False)
        return await asyncio.shield(answer)  # a visitor who leaves ends nobody else's

    def _make(self, answer: asyncio.Future, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        with self.places:
            try:
                tell, told = answer.set_result, make(*arguments)
            except BaseException as error:  # noqa: BLE001 raised where it is waited for
                tell, told = answer.set_exception, error
        with suppress(RuntimeError):  # the application has ended meanwhile
            answer.get_loop().call_soon_threadsafe(tell, told)

    def _forget_failed(self, key: Hashable, done: asyncio.Future) -> None:
        if done.exception() is not None and self.answers.get(key, (None, None))[1] is done:
            del self.answers[key]
