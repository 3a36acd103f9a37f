"""The errors a user can act on.

    CrowdmoodError        one sentence that says what is wrong and what to do; the command line prints it and exits 1
      VideoError          a recording cannot be opened or decoded
      ModelError          a model is missing, damaged, or does not fit
      JobError            a job file is wrong
      ResultsError        a results folder or a run cannot be found, read or written
        RunBusy           a run is being analyzed by another process or machine at the moment
      ConditionError      a condition on moments makes no sense; further lines point to the place

Anything else is a bug and keeps its traceback. Foreign errors are translated where the library is called.
"""

from unicodedata import category


class CrowdmoodError(Exception):
    """Something a user can act on."""


class VideoError(CrowdmoodError):
    """A recording cannot be opened or decoded."""


class ModelError(CrowdmoodError):
    """A model is missing, damaged, or does not fit what is asked of it."""


class JobError(CrowdmoodError):
    """A job file is wrong."""


class ResultsError(CrowdmoodError):
    """A results folder or a run cannot be found, read or written."""


class RunBusy(ResultsError):
    """A run is being analyzed by another process or machine at the moment; there is nothing wrong with it."""


class ConditionError(CrowdmoodError):
    """A condition on moments makes no sense; lines after the sentence point to the place."""


def one_line(text: str) -> str:
    """Text as a terminal may show it: file names can hold line breaks, bytes that are no text, and worse."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(repr(letter)[1:-1] if category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)


def told(error: BaseException) -> str:
    """What an error says, fit for a terminal: one line, but where later lines point into a condition."""
    lines = str(error).split("\n") if isinstance(error, ConditionError) else [str(error)]
    return "\n".join(map(one_line, lines))
