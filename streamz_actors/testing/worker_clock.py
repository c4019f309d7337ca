"""The clock of one simulated worker: the cluster's time, a wall clock that can be wrong, timers that wait with it."""

from collections.abc import Callable

from streamz_actors.clock import Clock, ManualClock, ManualTimer, Timer


class WorkerClock(Clock):
    """Time goes on while its worker is paused; what falls due then fires when it goes on. Of the dead nothing fires."""

    def __init__(self, base: ManualClock) -> None:
        self._base = base
        self.skew = 0
        """Milliseconds that its wall clock is ahead."""
        self._held = self._dead = False
        self._due: list[ManualTimer] = []

    def now(self) -> int:
        return max(0, self._base.now() + self.skew)

    def monotonic(self) -> float:
        return self._base.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = ManualTimer(callback)
        inner = self._base.call_later(seconds, lambda: self._fire(timer))
        return _Both(timer, inner)

    def _fire(self, timer: ManualTimer) -> None:
        if self._held:
            self._due.append(timer)
        elif not self._dead and not timer.cancelled:
            timer.callback()

    def hold(self) -> None:
        self._held = True

    def release(self) -> None:
        self._held = False
        due, self._due = self._due, []
        for timer in due:
            self._fire(timer)

    def die(self) -> None:
        self._dead, self._held = True, False
        self._due.clear()


class _Both:
    """Cancels the timer as its worker sees it, and the one of the cluster's clock."""

    __slots__ = ("_inner", "_timer")

    def __init__(self, timer: ManualTimer, inner: Timer) -> None:
        self._timer, self._inner = timer, inner

    def cancel(self) -> None:
        self._timer.cancel()
        self._inner.cancel()
