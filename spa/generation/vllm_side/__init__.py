"""What runs in vLLM's own environment: spa is not there, only Python, torch, numpy and vLLM."""
