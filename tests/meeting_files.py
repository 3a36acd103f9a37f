"""What Zoom leaves beside a recording: transcript, timeline and chat of a generated meeting."""

from __future__ import annotations

import json
from pathlib import Path

CLOCK = "20260115-140003"
"""The recording's beginning on the wall clock, as in the files' names."""


def write_side_files(folder: Path, truth) -> None:
    """Write the files into a folder. truth: tests.meetings.Truth."""
    def clock(seconds: float) -> str:
        return f"{int(seconds // 3600):02}:{int(seconds // 60) % 60:02}:{seconds % 60:06.3f}"

    stem = f"GMT{CLOCK}_Recording"
    cues = [f"{k}\r\n{clock(s.start_s)} --> {clock(s.end_s)}\r\n{truth.names[s.who]}: {s.text}\r\n"
            for k, s in enumerate(truth.speeches, 1)]
    (folder / f"{stem}.transcript.vtt").write_text("WEBVTT\r\n\r\n" + "\r\n".join(cues), "utf-8", newline="")
    marks = sorted([(s.start_s, [s.who]) for s in truth.speeches] + [(s.end_s, []) for s in truth.speeches])
    users = [{"ts": clock(at), "users": [_user(who, truth.names[who]) for who in who_speak]} for at, who_speak in marks]
    (folder / f"{stem}.timeline.json").write_text(json.dumps({"timeline": users}, indent=2), "utf-8")
    lines = [f"{clock(s.end_s)[:8]}\t{truth.names[(s.who + 1) % len(truth.names)]}:\tI agree with {truth.names[s.who]}\r\n"
             for s in truth.speeches[::3]]
    (folder / f"GMT{CLOCK}_RecordingnewChat.txt").write_text("".join(lines), "utf-8", newline="")


def _user(who: int, name: str) -> dict:
    return {"avatar_url": "", "client_type": 0, "email_address": "", "multiple_people": False, "user_id": 16778240 + who,
            "username": name, "zoom_userid": f"zoomuser{who:016}"}
