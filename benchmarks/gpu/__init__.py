"""What a GPU does with the full-size models: one command that measures as much as some minutes allow.

A machine with such a card is often bare and lent for minutes, so this needs no more than PyTorch, ``transformers``,
numpy and matplotlib: neither ``infolens`` nor Triton's client is imported.
"""
