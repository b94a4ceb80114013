"""MMAudio: sound for a silent video, in step with it (Cheng et al., "MMAudio: Taming Multimodal Joint Training for
High-Quality Video-to-Audio Synthesis", CVPR 2025). Our own networks, with the official weights."""
