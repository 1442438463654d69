"""What the bench compares with, each as a process of its own that prints what it used."""
