"""Whether the models are any good, by what people say of their answers: figures, and how sure they are.

`intervals`, `drift` and `agreement` are the statistics, each with its source; `references` says what a model's articles
were like in training, and `tallying` counts those that come, of which nothing else is kept; `figures` and `document`
make one document of all that, which `/v1/quality` gives and the metrics show.
"""
