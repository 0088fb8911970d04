"""Feedback over HTTP: predictions given back and removed, ratings of them taken, blind audits answered.

`requests` says what may be sent, `answers` what is answered, `checking` whether it fits the prediction, `documents`
what is shown of it, `operations` is the part of the OpenAPI document, and `routes` has the handlers.
"""
