"""What other people's code may import of infolens: a name that disappears breaks it."""

from __future__ import annotations

import importlib

import pytest

ERRORS = """
    AuthenticationError ClientClosedError InferenceFailedError InfoLensError InsecureKeyWarning InvalidArticleError
    InvalidSettingError InvalidTableError ModelUnavailableError PermissionDeniedError PredictionNotFoundError
    RateLimitedError RequestRejectedError RequestTimeoutError ServerError ServerOverloadedError ServerUnavailableError
    UnexpectedResponseError WrongServerError
"""
VALUES = """
    Article BatchResult Category Evidence Labelled Lineage Quote Reading Report ServedTask ServerStatus Span Summary
    SummaryOptions Unsupported Veracity
"""
NAMES = {
    "infolens": f"""
        AsyncClient CATEGORIES Client DEFAULT_URL LinkedArticle LinkedReport RetryPolicy Task VERACITIES __version__
        Agreement Drift DriftBucket Estimate Forgotten KeptAnswer KeptArticle KeptPrediction ModelQuality Quality Rated
        RatedDay RatingBatch continuing_trace
        {VALUES} {ERRORS}
    """,
    "infolens.contract": """
        ATTENTION_MASK AnswerKind CATEGORIES CONTRACTS EVIDENCE EVIDENCE_MODEL EVIDENCE_PARAMETER FAILED INFO_LENS
        INPUT_IDS LABELS_PARAMETER LENGTH_BUCKETS MAX_ARTICLE_BYTES NEVER_ENDS PARTIAL SAMPLING SENTENCE_ENDS SEQUENCES
        SERVED_PARAMETER SETTING_INPUTS SOURCE SUMMARY_SETTINGS
        ServedModel SummarySetting TEXT TITLE TOKENS TOKEN_TYPE_IDS TRUNCATED_TOKENS Task TaskContract Tensor UNCLEAR
        UNCLEAR_REASONS UNREAD VERACITIES buckets_up_to register register_classifier
    """,
    "infolens.types": f"ANSWER_TYPES Answer answer_type {VALUES}",
    "infolens.errors": ERRORS,
    "infolens.files": "Kind MAX_TITLE_CHARS kind_of_bytes kind_of_words parse_article split_title",
    "infolens.problems": "CONTENT_TYPE Fault KINDS Kind Problem TYPE_PREFIX from_problem to_problem",
    "infolens.tables": """
        ArticleRow CAVEAT COLUMNS FORMATS MAX_ROWS MAX_TEXT_BYTES Table check_format read_table to_row write_table
    """,
    "infolens.testing": "FakeTransport InferRequest fake_report",
}


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_is_there_and_every_name_there_is_listed(module: str) -> None:
    found = importlib.import_module(module)
    missing = {name for name in NAMES[module].split() if not hasattr(found, name)}
    assert missing == set()
    assert set(getattr(found, "__all__", NAMES[module].split())) == set(NAMES[module].split())
