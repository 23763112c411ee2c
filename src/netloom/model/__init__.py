"""The nouns: what may be asked for, what is there, and the mark that tells whose it is."""
