"""The seven expressions, in the order used by every array, table and model; and what a person without a name is called."""

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
UNCERTAIN = "uncertain"
NAMELESS = "Participant"


def participant(number: int) -> str:
    """What a person of a meeting is called who has no name: 'Participant 3'. In SQL: 'Participant ' || person."""
    return f"{NAMELESS} {number}"
