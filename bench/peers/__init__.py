"""What Holdover is measured against, each as its users would write it, and what answers both sides alike."""
