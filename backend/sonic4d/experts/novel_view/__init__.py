"""Experts that repaint what a new camera sees: render and holes in, video out (equation 2 and what follows it)."""
