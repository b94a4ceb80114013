"""Depth without a learned model: ground plane, horizon, contact points, and a plate behind the subjects."""

from .expert import geometric_depth

__all__ = ["geometric_depth"]
