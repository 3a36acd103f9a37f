"""The errors a user can act on.

    CrowdmoodError        one sentence that says what is wrong and what to do; the command line prints it and exits 1
      VideoError          a recording cannot be opened or decoded
      ModelError          a model is missing, damaged, or does not fit
      JobError            a job file is wrong
      ResultsError        a results folder or a run cannot be found, read or written
      ConditionError      a condition on moments makes no sense; further lines point to the place

Anything else is a bug and keeps its traceback. Foreign errors are translated where the library is called.
"""


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


class ConditionError(CrowdmoodError):
    """A condition on moments makes no sense; lines after the sentence point to the place."""
