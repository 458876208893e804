"""Layer-wise relevance propagation for xaicore: family ``lrp``."""
