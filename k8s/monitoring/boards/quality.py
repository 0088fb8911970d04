"""The dashboard of whoever answers for the models: what people say of them, and whether that is kept."""

from __future__ import annotations

from .panels import DOOR, Board, Kind, Panel, per_second

_OF = "task, model, revision"
_NAMED = "{{task}} {{model}} {{revision}}"


def _same(metric: str, labels: str = "", more: str = "") -> str:
    """A figure that every replica shows alike, once."""
    by = f"{_OF}, {more}" if more else _OF
    return f"max by ({by}) ({metric}{{{DOOR}{labels}}})"


def _figure(metric: str, labels: str = "") -> tuple[tuple[str, str], ...]:
    return ((_same(metric, labels, "bound"), f"{_NAMED} {{{{bound}}}}"),)


def _lost(how: str) -> str:
    return f"sum by (instance) (increase(infolens_feedback_{how}_total{{{DOOR}}}[1h]))"


SAID = (
    Panel(
        title="Stars", why="The mean of 30 days, between the ends of its 95 % interval; a new revision begins anew.",
        queries=_figure("infolens_quality_satisfaction_stars"),
    ),
    Panel(
        title="Labels that people call right", unit="percentunit",
        why="Volunteered, so of answers that somebody cared to rate: lower than the truth, as a rule.",
        queries=_figure("infolens_quality_accuracy", ',source="volunteered"'),
    ),
    Panel(
        title="Right in blind audits", unit="percentunit",
        why="Of articles picked by chance, before our label was seen. Trusted while the low end is above the bar.",
        queries=(
            *_figure("infolens_quality_accuracy", ',source="audit"'),
            (f"max(infolens_quality_trust_bar{{{DOOR}}})", "bar"),
        ),
    ),
    Panel(
        title="Ratings", why="That count, of 30 days. Few of them: wide intervals.", width=12,
        queries=((_same("infolens_quality_ratings", more="source"), f"{_NAMED} {{{{source}}}}"),),
    ),
    Panel(
        title="Labels that were shown", unit="percentunit", width=12,
        why="The others were held back: no clear signal. A fall is other articles, or another threshold.",
        queries=((_same("infolens_quality_coverage"), _NAMED),),
    ),
)  # fmt: skip
ARTICLES = (
    Panel(
        title="Articles moved", width=12,
        why="Population stability index against the training's, by what is compared: above 0.1 moving, 0.25 moved.",
        queries=((_same("infolens_quality_psi", more="what"), f"{_NAMED} {{{{what}}}}"),),
    ),
    Panel(
        title="As far by chance", why="The p-value of the same: an index with one above 0.01 says nothing.", width=12,
        unit="percentunit", queries=((_same("infolens_quality_psi_p", more="what"), f"{_NAMED} {{{{what}}}}"),),
    ),
)  # fmt: skip
KEPT = (
    Panel(
        title="Kept", why="Predictions, ratings and erasures that were written.", unit="ops", stacked=True,
        queries=((per_second("instance", "infolens_feedback_kept_total", DOOR), "{{instance}}"),),
    ),
    Panel(
        title="Waits in the spool", why="While the database is away; what the spool takes stands beside it.",
        unit="bytes",
        queries=(
            (f"infolens_feedback_spooled_bytes{{{DOOR}}}", "{{instance}}"),
            (f"max(infolens_feedback_spool_limit_bytes{{{DOOR}}})", "most"),
        ),
    ),
    Panel(
        title="Away, and lost", why="1 while the database cannot be written; what could not be kept, in an hour.",
        queries=(
            (f"max by (instance) (infolens_feedback_away{{{DOOR}}})", "{{instance}} away"),
            (_lost("dropped"), "{{instance}} dropped"),
            (_lost("refused"), "{{instance}} refused"),
            (_lost("torn"), "{{instance}} torn"),
        ),
    ),
    Panel(
        title="Answers that can be rated", why="Of 30 days.", kind=Kind.STAT, width=12,
        queries=((_same("infolens_quality_predictions"), _NAMED),),
    ),
    Panel(
        title="Age of these figures", why="Made anew every minute; they grow old while the database is away.",
        unit="s", width=12, queries=((f"infolens_quality_age_seconds{{{DOOR}}}", "{{instance}}"),),
    ),
)  # fmt: skip
BOARD = Board(
    uid="infolens-quality",
    title="Info Lens: quality",
    why="Whether the models are any good, by what people say of their answers, and whether that is kept.",
    instances="infolens_ready",
    rows=(
        ("What people say", SAID),
        ("Articles", ARTICLES),
        ("Keeping", KEPT),
    ),
)
