"""Runs in the environment of optimum: ``python -I worker.py <checkpoint folder> <output folder> <opset>``.

It imports nothing of this project. If it fails, the last line that it writes to stderr is the reason.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Export a sequence classifier; returns the exit code."""
    checkpoint, output, opset = sys.argv[1:]
    try:
        from optimum.exporters.onnx import main_export

        main_export(
            checkpoint,
            output,
            task="text-classification",
            opset=int(opset),
            framework="pt",
            library_name="transformers",
            local_files_only=True,
            # The parity check of this project decides, on articles of all lengths and on batches.
            do_validation=False,
        )
    except Exception as error:  # whatever optimum, transformers or torch raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print(f"{type(error).__name__}: {' '.join(lines[:2])}", file=sys.stderr)  # noqa: T201 - read by the caller
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
