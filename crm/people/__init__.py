"""People: all that is stored of one, told, or forgotten for good."""
