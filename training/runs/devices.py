"""What a GPU is expected to need for an article: its operations by the share of the peak that training reaches.

An estimate for machines where nothing was measured. A pass forward and one back take 6 operations for each weight and
token (Kaplan et al., 2020, Scaling Laws for Neural Language Models, section 2.1); the peaks are those of NVIDIA's data
sheets for bf16 without sparsity.
"""

from __future__ import annotations

from typing import Final

PEAK_TFLOPS: Final = {"l4": 121.0, "a100": 312.0, "h100": 989.0}
"""Device -> 10^12 operations a second in bf16 (L4, A100, H100 SXM)."""
UTILISATION: Final = 0.2
"""Share of the peak where nothing else is known. The one published figure for such a run, 5 hours of BART large on
8 V100 (fairseq, examples/bart/README.summarization.md), comes to 0.09; newer attention kernels and bf16 do better."""


def expected_article_ms(device: str, article_tflop: float, utilisation: float = UTILISATION) -> float:
    """Milliseconds in which one device trains on one article.

    Args:
        device: One of `PEAK_TFLOPS`.
        article_tflop: 10^12 operations of an article, forward and back.
        utilisation: Share of the device's peak that is reached, above 0 and at most 1.

    Raises:
        ValueError: The device is not known, or a number is out of its range.
    """
    if device not in PEAK_TFLOPS:
        raise ValueError(f"--device is one of {', '.join(PEAK_TFLOPS)}, not {device!r}; or measure --article-ms")
    if not article_tflop > 0:
        raise ValueError(f"--article-tflop is above 0, not {article_tflop:g}")
    if not 0 < utilisation <= 1:
        raise ValueError(f"--utilisation is a share above 0 and at most 1, not {utilisation:g}")
    return article_tflop / (PEAK_TFLOPS[device] * utilisation) * 1e3
