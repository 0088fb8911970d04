"""How many GPUs a rate and a bound need, from times that were measured on a card or from the shortest it could take."""
