"""How sure is sure enough: the temperature and the band of a classifier, fitted on articles that it has not seen."""
