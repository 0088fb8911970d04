"""The commands about feedback: rate answers, have them forgotten, see how good the models are."""
