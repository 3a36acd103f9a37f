"""What the law says of reading emotions in meetings, in the few sentences that the software prints. docs/responsible-use.md says more."""

from __future__ import annotations

from crowdmood.options import CONTEXTS

MEETING = ("EU AI Act Art. 5(1)(f) forbids inferring emotions at work and in education, except for medical or safety reasons; "
           "say what this meeting is with --context "
           f"{'|'.join(CONTEXTS)} (kept in the run, printed in its report; see docs/responsible-use.md)")
LIVE = ("tell everyone who is in the picture; EU AI Act Art. 5(1)(f) forbids inferring emotions at work and in education, except for medical "
        "or safety reasons")
FORBIDDEN = {
    "work": "EU AI Act Art. 5(1)(f) forbids AI systems that infer emotions of persons at the workplace, except for medical or safety reasons, "
            "also where they consent. Declaring it is recorded, and makes nothing lawful",
    "education": "EU AI Act Art. 5(1)(f) forbids AI systems that infer emotions of persons in education institutions, except for medical or "
                 "safety reasons, also where they consent. Declaring it is recorded, and makes nothing lawful",
}
EXCEPTED = {
    "medical": "put into service for medical reasons: the AI Act's exception is for such systems, and crowdmood is not a medical device",
    "safety": "put into service for safety reasons: the AI Act's exception is narrow, and the operator must be able to show that it applies",
}


def notice(context: str | None) -> str | None:
    """What the report of a meeting says of its context; None where there is nothing to say but the context."""
    if context is None:
        return ("EU AI Act, Article 5(1)(f), forbids AI systems that infer emotions of persons at work and in education, except for medical or "
                "safety reasons. If this is such a meeting, remove this run; else say what it is: analyze the recording again with "
                f"--context and one of {', '.join(CONTEXTS)}")
    return FORBIDDEN.get(context) or EXCEPTED.get(context)


def warning(layout: str | None, context: str | None) -> str | None:
    """The sentence to be printed after a run, None where there is none. layout, context: of the run's row."""
    if context in FORBIDDEN:
        return FORBIDDEN[context]
    return MEETING if layout == "meeting" and context is None else None
