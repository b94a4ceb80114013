"""Takes of rendered audio on disk, and their strips in the sequencer."""
