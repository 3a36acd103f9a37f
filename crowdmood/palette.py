"""One fixed colour per expression, for every chart: HTML, PNG and whatever comes later.

The colours were searched for so that any two of them stay apart (CIE76 distance of at least 19) for normal sight and
for simulated protanopia, deuteranopia and tritanopia; `tests/test_report.py` holds them to it. They are of middle
lightness, so that they stand out on a light and on a dark page.
"""

from __future__ import annotations

EXPRESSION_COLOURS = {
    "angry": "#E2474A",
    "disgust": "#355F17",
    "fear": "#BE97D6",
    "happy": "#EFB94C",
    "sad": "#0E68BA",
    "surprise": "#55A399",
    "neutral": "#CCD2DD",
    "uncertain": "#9A9689",
}

# Bottom to top: what pleases stands on the floor of the chart, what does not hangs from its ceiling, so that both
# can be read against a straight edge.
STACK_ORDER = ("happy", "surprise", "neutral", "sad", "fear", "disgust", "angry")

# Text that is written on a colour.
DARK_INK, LIGHT_INK = "#1B2029", "#FFFFFF"
LABEL_INKS = {name: LIGHT_INK if name in ("angry", "disgust", "sad") else DARK_INK for name in EXPRESSION_COLOURS}

# Positivity from its lowest to its highest class, the middle one around zero: blue to gold, apart for every sight.
DIVERGING = ("#1F5799", "#4C82C0", "#8AB0DB", "#C4D7EC", "#ECE9E1", "#F8E3B0", "#F1C35C", "#E39A1B", "#B96F08")
UNREAD_COLOUR = "#A9A69D"
