"""crowdmood reads a crowd's face: expressions shown in a recording, minute by minute, as tables, SQL and reports.

    import crowdmood
    run = crowdmood.analyze("concert.mp4")
    run.timeline.to_pandas()
    run.sql("SELECT second, happy FROM timeline ORDER BY happy DESC LIMIT 3")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["CrowdmoodError", "Run", "analyze", "ask", "export", "open_run", "runs", "sql"]

if TYPE_CHECKING:
    from crowdmood.api import (
        CrowdmoodError,
        Run,
        analyze,
        ask,
        export,
        open_run,
        runs,
        sql,
    )


def __getattr__(name: str):
    # Heavy libraries are loaded when they are first used: `crowdmood --help` answers at once.
    if name in __all__:
        from crowdmood import api

        return getattr(api, name)
    raise AttributeError(f"module 'crowdmood' has no attribute '{name}'")
