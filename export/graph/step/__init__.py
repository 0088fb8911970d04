"""The summarizer as two graphs on static buffers: an encoder, and one step of decoder and search for all slots."""
