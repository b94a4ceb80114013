"""Depth by learned models: each gives an estimate, which is aligned over time, brought to metres and made a scene of."""
