"""What each flag says in plain words, and what to look at first (docs/flags.md has it in full)."""

MEANINGS = {
    "difficulty_drift": (
        "its difficulty moved within a day: look at the key and the display first"
    ),
    "reference_drift": (
        "this window's answers make it harder or easier than all earlier ones did; easier: look "
        "for a leak or for teaching, harder: for an edit, a display fault or a wrong key"
    ),
    "carried_contradicted": (
        "later answers contradict earlier ones so clearly that the earlier ones were dropped; look "
        "for what changed"
    ),
    "guessing_rise": (
        "weak candidates get it right more often: one of the options may give itself away"
    ),
    "low_discrimination": (
        "able candidates hardly do better on it than weak ones: look for an ambiguous question or "
        "a second right answer"
    ),
    "misfit_infit": (
        "answers near its difficulty are less (above 1) or more (below 1) predictable than the "
        "model says; above: carelessness or a second skill, below: a hint in another item"
    ),
    "misfit_outfit": (
        "answers far from its difficulty are less (above 1) or more (below 1) predictable than the "
        "model says; above: lucky guesses or slips, below: a hint in another item"
    ),
    "anchor_drift": (
        "this anchor's answers put it elsewhere than it is held; several in one direction: look at "
        "the population and the source first"
    ),
    "estimate_at_bound": (
        "an estimate stands at the end of its range: with few answers wait, with many look at "
        "the key"
    ),
    "differential_functioning": (
        "groups of equal ability find it differently hard: look for content that favours one"
    ),
    "suspected_leak": (
        "candidates seem to know it beforehand; its answers no longer count: retire or replace it"
    ),
}
"""Reason → its meaning."""
