"""Whose face a bundle shows: asked at export, written into the bundle, carried into what is rendered from it."""

from __future__ import annotations

from collections.abc import Callable

from gstalker.runtime.bundle_manifest import NOT_STATED, Likeness

QUESTIONS = {
    "subject": "Whose likeness is it",
    "consent": "What has this person agreed to, and where is that written",
    "licence": "Under which licence may the avatar be used",
}


def likeness_from(
    subject: str | None, consent: str | None, licence: str | None, ask: Callable[[str], str] | None
) -> Likeness:
    """Put together the three answers.

    Args:
        subject, consent, licence: what was given; None or blank where nothing was.
        ask: puts a question to a person; None where there is nobody to ask.

    Returns:
        The likeness; answers that could not be had say so in the words of NOT_STATED.
    """
    answers = {}
    for field, given in (("subject", subject), ("consent", consent), ("licence", licence)):
        text = (given or "").strip()
        if not text and ask is not None:
            text = ask(QUESTIONS[field]).strip()
        answers[field] = " ".join(text.split()) or NOT_STATED
    return Likeness(**answers)


def not_stated(likeness: Likeness) -> list[str]:
    """The fields that nobody filled in."""
    return [field for field in QUESTIONS if getattr(likeness, field) == NOT_STATED]
