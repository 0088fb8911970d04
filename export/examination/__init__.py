"""Whether checkpoints can be exported, before anything is written; and exports of several by one command."""
