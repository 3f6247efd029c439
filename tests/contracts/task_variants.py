"""Correct tasks of which one piece is replaced."""

from polymodal.tasks.classify import Classify
from polymodal.tasks.transcribe import Transcribe


def with_head(head: type) -> type:
    """A classifier with another head."""

    class Task(Classify):
        def head(self, widths):
            (width,) = widths.values()
            return head(self.readout(width), self.criterion(), self.prior)

    return Task


def with_criterion(criterion: type) -> type:
    """A classifier with another loss."""

    class Task(Classify):
        def criterion(self):
            return criterion(self.class_weight, smoothing=0.1, one_vs_rest=False)

    return Task


def with_transcribe_head(head: type) -> type:
    class Task(Transcribe):
        def head(self, widths):
            (width,) = widths.values()
            return head(width, self.prior, dropout=0.0)

    return Task
