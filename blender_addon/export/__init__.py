"""The finished shot: a picture and the take's sound, as one movie file and what goes beside it."""
