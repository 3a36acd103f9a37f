"""What can be said of a file before anything looks into it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from crowdmood.errors import VideoError


def check_file(path: Path) -> None:
    """Raise VideoError unless ``path`` is a regular file with content that this user may read."""
    try:
        facts = os.stat(path)
        if stat.S_ISDIR(facts.st_mode):
            raise VideoError(f"{path.name}: this is a folder, not a recording")
        if not stat.S_ISREG(facts.st_mode):
            raise VideoError(f"{path.name}: this is not a regular file; save the recording to a file first")
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise VideoError(f"{path}: there is no such file") from None
    except PermissionError:
        advice = "check its and its folder's rights"
        raise VideoError(f"{path.name}: no permission to read it; {advice}") from None
    except OSError as error:
        raise VideoError(f"{path.name}: cannot be read ({error.strerror})") from None
    if facts.st_size == 0:
        raise VideoError(f"{path.name}: the file is empty (0 bytes); copy or download it again")
