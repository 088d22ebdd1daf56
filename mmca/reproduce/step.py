"""What every step of a plan can do, see :mod:`mmca.reproduce.steps`."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from pathlib import Path

from mmca.errors import UserError


class StepError(UserError):
    """A step cannot run, or failed."""


class Step(ABC):
    """One command of a plan."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it does, for the user; no other step of a plan has the same."""

    @property
    def kind(self) -> Hashable:
        """Equal for steps that take about the same time."""
        return self.title

    @abstractmethod
    def is_done(self) -> bool:
        """Whether there is nothing left to run."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line to run now."""

    @abstractmethod
    def log(self) -> Path:
        """File for what the command prints."""

    def progress(self) -> float:
        """Share that is done, 0 to 1, as far as it is known."""
        return 0.0

    def finish(self, seconds: float) -> None:  # noqa: B027
        """Called when the command has succeeded, in so long."""
