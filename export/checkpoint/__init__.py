"""Reading a checkpoint: model, tokenizer, labels."""
