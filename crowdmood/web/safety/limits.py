"""The largest bodies that are taken, by address."""

from __future__ import annotations

from crowdmood.web.settings import WebSettings

USUAL = 1_000_000  # forms and JSON
# What begins so may be larger: as much as this field of WebSettings says.
LARGER = (
    ("/api/uploads", "upload_bytes"),
    ("/api/recordings", "upload_bytes"),
    ("/api/photos", "photo_bytes"),
    ("/photos", "photo_bytes"),
)


def largest_body(path: str, settings: WebSettings) -> int:
    """Bytes."""
    return next((getattr(settings, field) for start, field in LARGER if path == start or path.startswith(f"{start}/")), USUAL)
