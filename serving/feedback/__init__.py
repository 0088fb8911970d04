"""What people say of answers: predictions by id, ratings, corrections and audits, in a database or a spool before it.

`options` says whether feedback is kept and `rule` when it can be; `records` says what a prediction and a rating are,
`store` keeps them, `spool` holds them while the store is away, and `keeper` is what the door asks. Importing this
package loads no database library.
"""
