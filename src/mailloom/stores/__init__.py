"""One file a technology; none knows another. What each must do is in mailloom.ports."""
