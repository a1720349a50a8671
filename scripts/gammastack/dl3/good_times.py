"""Good time intervals."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GoodTimeIntervals:
    """Intervals in s since the reference time of the events, both edges included."""

    start: np.ndarray
    stop: np.ndarray

    @classmethod
    def merged(cls, start, stop):
        """Return the union of intervals that may overlap, in the order of time, without empty ones."""
        order = np.argsort(start, kind="stable")
        start, stop = start[order], np.maximum.accumulate(stop[order])
        first = np.append(True, start[1:] > stop[:-1])
        last = np.append(first[1:], True)
        start, stop = start[first], stop[last]
        return cls(start[stop > start], stop[stop > start])

    @property
    def ontime(self):
        """Return the total length in s."""
        return float(np.sum(self.stop - self.start))

    def after(self, elapsed):
        """Return the time in s at which the given amount of good time in s has passed."""
        begin = np.cumsum(self.stop - self.start) - (self.stop - self.start)
        interval = np.searchsorted(begin, elapsed, side="right") - 1
        return self.start[interval] + elapsed - begin[interval]

    def contains(self, time):
        """Return whether each time lies in one of the intervals."""
        order = np.argsort(self.start)
        start, stop = self.start[order], np.maximum.accumulate(self.stop[order])
        interval = np.searchsorted(start, time, side="right") - 1
        return (interval >= 0) & (time <= stop[interval])
